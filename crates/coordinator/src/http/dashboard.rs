//! `GET /` and `GET /assets/{file}`: the dashboard. Its built files (`dashboard/dist`) are in the binary. They answer without a
//! key: they are the same for everybody, and say nothing about anyone.

use std::io::Write as _;
use std::sync::LazyLock;

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
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use sha2::{Digest as _, Sha256};

use super::ApiError;
use super::error::not_found;
use super::extract::Path;

/// The page. Everything else is named in it, by the hash of its content.
const PAGE: &[u8] = include_bytes!("../../../../dashboard/dist/index.html");

/// Name and content; the build of the dashboard writes this list.
const ASSETS: &[(&str, &[u8])] = include!("../../../../dashboard/dist/assets.rs");

/// Its own scripts and styles, its own server; nothing inline, nothing evaluated, no other host. Text of an agent that came to be
/// markup would load nothing and run nothing, and no text can be made markup in the first place (trusted types).
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);

/// Below this, an answer fits one packet anyway.
const MIN_COMPRESSED_BYTES: usize = 1024;

static FILES: LazyLock<Vec<File>> =
    LazyLock::new(|| ASSETS.iter().map(|(name, bytes)| File::new(name, bytes)).collect());
static INDEX: LazyLock<File> = LazyLock::new(|| File::new("index.html", PAGE));

/// One file as it is sent.
struct File {
    name: &'static str,
    bytes: Bytes,
    /// `None` where that would not be smaller.
    compressed: Option<Bytes>,
    etag: HeaderValue,
}

/// `GET /`.
pub(super) async fn page(headers: HeaderMap) -> Response {
    let mut response = INDEX.answer(&headers, HeaderValue::from_static("no-cache"));
    let answer = response.headers_mut();
    answer.insert(CONTENT_SECURITY_POLICY, POLICY);
    answer.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    response
}

/// `GET /assets/{file}`. A name stands for one content for ever.
pub(super) async fn asset(Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    match FILES.iter().find(|file| file.name == name) {
        Some(file) => Ok(file.answer(&headers, HeaderValue::from_static("public, max-age=31536000, immutable"))),
        None => Err(not_found(uri).await),
    }
}

impl File {
    fn new(name: &'static str, bytes: &'static [u8]) -> File {
        let hash = Sha256::digest(bytes);
        let tag = URL_SAFE_NO_PAD.encode(&hash[..12]);
        // The one compression level that matters: this is done once.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let compressed = encoder.write_all(bytes).and_then(|()| encoder.finish()).ok();
        let compressed = compressed.filter(|small| bytes.len() >= MIN_COMPRESSED_BYTES && small.len() < bytes.len());
        File {
            name,
            bytes: Bytes::from_static(bytes),
            compressed: compressed.map(Bytes::from),
            // Weak: the compressed form is the same file.
            etag: HeaderValue::try_from(format!("W/\"{tag}\"")).unwrap_or(HeaderValue::from_static("W/\"0\"")),
        }
    }

    fn answer(&self, headers: &HeaderMap, cache: HeaderValue) -> Response {
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

fn content_type(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some(_) | None => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_files_that_are_there_and_nothing_inline_or_foreign() {
        let page = std::str::from_utf8(PAGE).unwrap();
        let named: Vec<&str> = page.split("\"/assets/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(named.len() >= 3, "{named:?}");
        for name in named {
            assert!(FILES.iter().any(|file| file.name == name), "{name}");
        }
        for forbidden in ["//", "<style", " style=", " on"] {
            assert!(!page.contains(forbidden), "{forbidden} is in the page");
        }
        assert_eq!(
            page.matches("<script").count(),
            page.matches("<script type=\"module\" crossorigin src=\"/assets/").count()
        );
        for file in FILES.iter() {
            assert_ne!(content_type(file.name), "application/octet-stream", "{}", file.name);
        }
    }

    #[test]
    fn what_loads_first_is_light() {
        let sent = |file: &File| file.compressed.as_ref().unwrap_or(&file.bytes).len();
        let all: usize = sent(&INDEX) + FILES.iter().map(sent).sum::<usize>();
        assert!(all <= 100 * 1024, "the dashboard has {all} bytes");
    }

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
