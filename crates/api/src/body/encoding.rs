//! The form in which a body arrives: compressed by gzip or not, with a byte order mark or without.

use std::io::Read as _;

use axum::body::Bytes;
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::{ApiError, MAX_BODY_BYTES};

/// The encodings of a body that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// Returns the encoding that the headers name.
    pub(super) fn of(headers: &HeaderMap) -> Result<Encoding, ApiError> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let (value, None) = (values.next(), values.next()) else { return Err(ApiError::unsupported_encoding()) };
        let name =
            value.map_or(Some("identity"), |value| value.to_str().ok()).map(|name| name.trim().to_ascii_lowercase());
        match name.as_deref() {
            Some("" | "identity") => Ok(Encoding::Identity),
            Some("gzip" | "x-gzip") => Ok(Encoding::Gzip),
            _ => Err(ApiError::unsupported_encoding()),
        }
    }

    /// Returns the text of a body: decompressed within the limit of all bodies, without a byte order mark.
    pub(super) fn decode(self, bytes: Bytes) -> Result<Bytes, ApiError> {
        let bytes = match self {
            Encoding::Identity => bytes,
            Encoding::Gzip => gunzip(&bytes)?,
        };
        if bytes.starts_with(&UTF8_MARK) {
            return Ok(bytes.slice(UTF8_MARK.len()..));
        }
        if UTF16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
            return Err(ApiError::invalid("the body is UTF-16: send JSON as UTF-8"));
        }
        Ok(bytes)
    }
}

const UTF8_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
const UTF16_MARKS: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];

fn gunzip(bytes: &[u8]) -> Result<Bytes, ApiError> {
    let mut text = Vec::new();
    let mut decoder = MultiGzDecoder::new(bytes).take(MAX_BODY_BYTES as u64 + 1);
    decoder
        .read_to_end(&mut text)
        .map_err(|_| ApiError::invalid("the body is not gzip, although Content-Encoding declares it"))?;
    if text.len() > MAX_BODY_BYTES { Err(ApiError::too_large(MAX_BODY_BYTES)) } else { Ok(text.into()) }
}

#[cfg(test)]
mod tests;
