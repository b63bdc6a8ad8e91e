//! Files that are in the binary. They are sent compressed, and not sent again to clients that have them. They contain
//! no data of anyone.

use std::io::Write as _;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName,
    IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};

/// Clients revalidate the file each time, which costs one answer without a body.
const REVALIDATED: HeaderValue = HeaderValue::from_static("no-cache");

/// The page may use its own scripts, styles and server, but nothing inline, no evaluated code and no other host. If an agent's text
/// became markup, it would load and run nothing. Trusted types prevent text from becoming markup in the first place.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);

/// A smaller answer fits one packet without compression.
const MIN_COMPRESSED_BYTES: usize = 1024;

/// One file as it is sent.
pub(super) struct File {
    pub(super) name: &'static str,
    bytes: Bytes,
    /// `None` if compression would not make it smaller.
    compressed: Option<Bytes>,
    etag: HeaderValue,
}

impl File {
    pub(super) fn new(name: &'static str, bytes: &'static [u8]) -> File {
        let hash = Sha256::digest(bytes);
        let tag = URL_SAFE_NO_PAD.encode(&hash[..12]);
        // The best compression level is affordable because each file is compressed once.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let compressed = encoder.write_all(bytes).and_then(|()| encoder.finish()).ok();
        let compressed = compressed.filter(|small| bytes.len() >= MIN_COMPRESSED_BYTES && small.len() < bytes.len());
        File {
            name,
            bytes: Bytes::from_static(bytes),
            compressed: compressed.map(Bytes::from),
            // The tag is weak because the compressed form counts as the same file.
            etag: HeaderValue::try_from(format!("W/\"{tag}\"")).unwrap_or(HeaderValue::from_static("W/\"0\"")),
        }
    }

    /// Its answer as a page, which may run and load what is beside it and nothing else.
    pub(super) fn page(&self, headers: &HeaderMap) -> Response {
        let mut response = self.revalidated(headers);
        let answer = response.headers_mut();
        answer.insert(CONTENT_SECURITY_POLICY, POLICY);
        answer.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
        response
    }

    /// Its answer under a name that may have other content tomorrow.
    pub(super) fn revalidated(&self, headers: &HeaderMap) -> Response {
        self.answer(headers, REVALIDATED)
    }

    /// Returns the bytes on the wire for a client that accepts gzip.
    #[cfg(test)]
    pub(super) fn sent(&self) -> usize {
        self.compressed.as_ref().unwrap_or(&self.bytes).len()
    }

    pub(super) fn answer(&self, headers: &HeaderMap, cache: HeaderValue) -> Response {
        let mut response = if is_known(headers, &self.etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            match &self.compressed {
                Some(bytes) if takes_gzip(headers) => {
                    ([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))], bytes.clone()).into_response()
                }
                Some(_) | None => self.bytes.clone().into_response(),
            }
        };
        let answer = response.headers_mut();
        answer.insert(CONTENT_TYPE, content_type(self.name));
        answer.insert(CACHE_CONTROL, cache);
        answer.insert(ETAG, self.etag.clone());
        answer.insert(VARY, HeaderValue::from_static("accept-encoding"));
        response
    }
}

fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let own = etag.to_str().map(bare).unwrap_or_default();
    tags.flat_map(|value| value.split(',')).any(|tag| bare(tag) == own)
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    encodings.flat_map(|value| value.split(',')).any(|encoding| {
        let (name, quality) = encoding.split_once(';').unwrap_or((encoding, ""));
        let quality = quality.trim().strip_prefix("q=").and_then(|quality| quality.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && quality.unwrap_or(1.0) > 0.0
    })
}

pub(super) fn content_type(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some(_) | None => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_takes_no_gzip_gets_none() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            takes_gzip(&headers)
        };
        assert!(with("gzip") && with("br, GZIP;q=0.5") && with("deflate,gzip; q=1"));
        assert!(!with("br") && !with("gzip;q=0") && !with("xgzip") && !takes_gzip(&HeaderMap::new()));
    }
}
