//! `GET /docs`: a page that shows this API's two documents to people. It is the same for everybody, so it answers
//! without a key; the documents that it fetches need one where the server has keys.

use std::sync::LazyLock;

use axum::response::Response;
use http::{HeaderMap, Uri};

use super::ApiError;
use super::embedded::File;
use super::error::not_found;
use super::extract::Path;

static PAGE: LazyLock<File> = LazyLock::new(|| File::new("docs.html", include_bytes!("docs/docs.html")));

/// The files are handwritten and need no build.
static FILES: LazyLock<[File; 3]> = LazyLock::new(|| {
    [
        File::new("docs.js", include_bytes!("docs/docs.js")),
        File::new("docs.css", include_bytes!("docs/docs.css")),
        // The dashboard's build uses this file too.
        File::new("tokens.css", include_bytes!("docs/tokens.css")),
    ]
});

/// `GET /docs`.
pub(super) async fn page(headers: HeaderMap) -> Response {
    PAGE.page(&headers)
}

/// `GET /docs/{file}`.
pub(super) async fn file(Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    match FILES.iter().find(|file| file.name == name) {
        Some(file) => Ok(file.revalidated(&headers)),
        None => Err(not_found(uri).await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_nothing_inline_or_foreign_and_is_light() {
        let page = include_str!("docs/docs.html");
        for forbidden in ["//", "<style", " style=", " on", "<script>"] {
            assert!(!page.contains(forbidden), "{forbidden} is in the page");
        }
        for file in FILES.iter() {
            assert!(page.contains(&format!("\"/docs/{}\"", file.name)), "{}", file.name);
        }
        // These functions would parse text as markup. The page's policy refuses them too.
        let script = include_str!("docs/docs.js");
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", ".style"] {
            assert!(!script.contains(forbidden), "{forbidden} is in the script");
        }
        let all: usize = PAGE.sent() + FILES.iter().map(File::sent).sum::<usize>();
        assert!(all <= 12 * 1024, "the page has {all} bytes");
    }
}
