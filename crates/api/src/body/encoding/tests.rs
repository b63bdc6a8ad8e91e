use std::io::Write as _;

use axum::response::IntoResponse as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;

use super::*;

fn gzip(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap().into()
}

fn status(result: Result<Bytes, ApiError>) -> u16 {
    result.map_or_else(|error| error.into_response().status().as_u16(), |_| 200)
}

#[test]
fn gzip_and_a_mark_are_taken_off() {
    assert_eq!(Encoding::Gzip.decode(gzip(b"\xef\xbb\xbf{}")).unwrap(), "{}");
    assert_eq!(Encoding::Identity.decode(Bytes::from_static(b"\xef\xbb\xbf{}")).unwrap(), "{}");
}

#[test]
fn a_decompressed_body_has_the_limit_of_all_bodies() {
    let bomb = gzip(&vec![b' '; 64 * MAX_BODY_BYTES]);
    assert!(bomb.len() < MAX_BODY_BYTES);
    assert_eq!(status(Encoding::Gzip.decode(bomb)), 413);
    assert_eq!(status(Encoding::Gzip.decode(gzip(&vec![b' '; MAX_BODY_BYTES]))), 200);
}

#[test]
fn damaged_and_foreign_bodies_are_named() {
    assert_eq!(status(Encoding::Gzip.decode(Bytes::from_static(b"{}"))), 400);
    let cut = gzip(b"{\"message\":1}");
    assert_eq!(status(Encoding::Gzip.decode(cut.slice(..cut.len() - 4))), 400);
    assert_eq!(status(Encoding::Identity.decode(Bytes::from_static(b"\xff\xfe{\0}\0"))), 400);
}

#[test]
fn only_known_encodings_are_taken() {
    let of = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(value));
        Encoding::of(&headers).ok()
    };
    assert_eq!(Encoding::of(&HeaderMap::new()).ok(), Some(Encoding::Identity));
    assert_eq!(
        (of("GZIP"), of("identity"), of("br"), of("gzip, gzip")),
        (Some(Encoding::Gzip), Some(Encoding::Identity), None, None)
    );
}
