//! Git over HTTP. Each request runs `git http-backend`, which speaks CGI (RFC 3875).

use std::path::Path;
use std::process::Stdio;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use futures::StreamExt as _;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio_util::io::ReaderStream;
use tokio_util::task::TaskTracker;

use super::error::ForgeError;

/// One request with the values that git needs.
pub(super) struct GitRequest<'a> {
    pub(super) directory: &'a Path,
    pub(super) method: &'a str,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) login: &'a str,
}

/// Runs git and returns its response, which streams while git runs.
pub(super) async fn serve(request: GitRequest<'_>, body: Body) -> Result<Response, ForgeError> {
    let text = |name: HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", request.directory)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REQUEST_METHOD", request.method)
        .env("PATH_INFO", request.uri.path())
        .env("QUERY_STRING", request.uri.query().unwrap_or(""))
        .env("CONTENT_TYPE", text(header::CONTENT_TYPE))
        .env("HTTP_CONTENT_ENCODING", text(header::CONTENT_ENCODING))
        .env("HTTP_GIT_PROTOCOL", text(HeaderName::from_static("git-protocol")))
        .env("GIT_PROTOCOL", text(HeaderName::from_static("git-protocol")))
        .env("REMOTE_USER", request.login)
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(ForgeError::NotFound);
    };
    let tasks = TaskTracker::new();
    tasks.spawn(async move {
        let mut body = body.into_data_stream();
        while let Some(Ok(bytes)) = body.next().await {
            // git may have answered already and stopped reading.
            if stdin.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut stdout = BufReader::new(stdout);
    let mut response = head(&mut stdout).await?;
    // The child lives as long as its response is read.
    let rest = ReaderStream::new(stdout).map(move |bytes| {
        let _ = &child;
        bytes
    });
    *response.body_mut() = Body::from_stream(rest);
    Ok(response)
}

/// Reads the CGI header block: `Status: 200 OK` and headers, up to an empty line.
async fn head(stdout: &mut (impl AsyncBufRead + Unpin)) -> Result<Response, ForgeError> {
    let mut response = Response::new(Body::empty());
    loop {
        let mut line = String::new();
        stdout.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(response) };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code =
                value.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(StatusCode::BAD_GATEWAY.as_u16());
            *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
        } else if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
}
