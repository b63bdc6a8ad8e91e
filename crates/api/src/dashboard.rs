//! `GET /` and `GET /assets/{file}`: the dashboard. Its built files (`dashboard/dist`) are in the binary. They answer without a
//! key: they are the same for everybody, and say nothing about anyone.

use std::sync::LazyLock;

use axum::response::Response;
use http::{HeaderMap, HeaderValue, Uri};

use super::ApiError;
use super::embedded::File;
use super::error::not_found;
use super::extract::Path;

/// The page. Everything else is named in it, by the hash of its content.
const PAGE: &[u8] = include_bytes!("../../../dashboard/dist/index.html");

/// Name and content; the build of the dashboard writes this list.
const ASSETS: &[(&str, &[u8])] = include!("../../../dashboard/dist/assets.rs");

static FILES: LazyLock<Vec<File>> =
    LazyLock::new(|| ASSETS.iter().map(|(name, bytes)| File::new(name, bytes)).collect());
static INDEX: LazyLock<File> = LazyLock::new(|| File::new("index.html", PAGE));

/// `GET /`.
pub(super) async fn page(headers: HeaderMap) -> Response {
    INDEX.page(&headers)
}

/// `GET /assets/{file}`. The content of a name never changes.
pub(super) async fn asset(Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    match FILES.iter().find(|file| file.name == name) {
        Some(file) => Ok(file.answer(&headers, HeaderValue::from_static("public, max-age=31536000, immutable"))),
        None => Err(not_found(uri).await),
    }
}

#[cfg(test)]
mod tests {
    use super::super::embedded::content_type;
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
        let page = std::str::from_utf8(PAGE).unwrap();
        // The page does not name what is loaded on demand, such as the highlighter.
        let first: Vec<&File> = FILES.iter().filter(|file| page.contains(file.name)).collect();
        assert!(first.len() < FILES.len(), "nothing is loaded on demand");
        let bytes: usize = INDEX.sent() + first.iter().map(|file| file.sent()).sum::<usize>();
        assert!(bytes <= 100 * 1024, "the dashboard has {bytes} bytes");
    }
}
