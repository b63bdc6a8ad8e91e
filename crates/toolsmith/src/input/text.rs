//! Decodes a file: gzip, UTF-8 and UTF-16, with or without a byte order mark.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::GzDecoder;

use crate::InputError;

/// The maximum size of an unpacked file.
const MAX_UNPACKED: u64 = 1024 * 1024 * 1024;

/// Returns the text of a file. Bytes that are not text become U+FFFD.
pub(crate) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, InputError> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(InputError::Nothing("it is a ZIP archive; unpack it first".to_owned()));
    }
    if !is_gzip(bytes) {
        return Ok(decoded(bytes));
    }
    let unpacked = unpacked(bytes, MAX_UNPACKED);
    let unpacked =
        unpacked.map_err(|error| InputError::Nothing(format!("it is a gzip file and cannot be unpacked: {error}")))?;
    Ok(Cow::Owned(decoded(&unpacked).into_owned()))
}

pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x1f\x8b")
}

/// Unpacks gzip. Fails if the result has more than `limit` bytes.
pub(crate) fn unpacked(bytes: &[u8], limit: u64) -> std::io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    let read = GzDecoder::new(bytes).take(limit + 1).read_to_end(&mut unpacked)?;
    if u64::try_from(read).is_ok_and(|read| read <= limit) {
        Ok(unpacked)
    } else {
        Err(std::io::Error::other("it is too large"))
    }
}

/// Decodes UTF-16 if there is a byte order mark, or if every second of the first bytes is zero, and else UTF-8.
pub(crate) fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    let wide = |rest: &[u8], read: fn([u8; 2]) -> u16| {
        let units = rest.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
        Cow::Owned(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [a, 0, b, 0, ..] if *a > 0 && *b > 0 => wide(bytes, u16::from_le_bytes),
        [0, a, 0, b, ..] if *a > 0 && *b > 0 => wide(bytes, u16::from_be_bytes),
        bytes => String::from_utf8_lossy(bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::text;

    #[test]
    fn every_encoding_gives_the_same_text() {
        let said = "{\"name\": \"Zoë 🦀\"}";
        let units: Vec<u16> = said.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&[&b"\xff\xfe"[..], &little].concat()).unwrap();
        for bytes in [
            said.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", said.as_bytes()].concat(),
            [&b"\xff\xfe"[..], &little].concat(),
            [&b"\xfe\xff"[..], &big].concat(),
            little,
            big,
            packed.finish().unwrap(),
        ] {
            assert_eq!(text(&bytes).unwrap(), said, "{bytes:x?}");
        }
        assert!(text(b"PK\x03\x04...").unwrap_err().to_string().contains("ZIP"));
        assert!(text(b"\x1f\x8b...").unwrap_err().to_string().contains("gzip"));
    }
}
