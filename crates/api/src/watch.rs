//! `GET /watch`: changes of all sessions and tasks that a caller sees, as server-sent events or as lines of JSON.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use futures::stream;
use http::HeaderMap;
use sessions::session::{News, Notice, NoticeKind, Watcher};

use super::events::{accepts, live};
use super::{Api, ApiError, view};
use crate::access::{Caller, Exhausted};

/// The feed is live from now on and starts with `reload`: a caller that lists after that misses nothing.
pub(super) async fn watch(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let watcher = api.feed.watch(view::changed);
    let watcher = watcher.ok_or_else(|| ApiError::exhausted("readers of GET /watch", Exhausted::Total))?;
    let ends = [api.shutdown.clone(), caller.revoked.clone()];
    let news = stream::unfold((watcher, Arc::new(caller), true), next);
    Ok(live(accepts(&headers, "ndjson"), news, ends, lines, server_sent))
}

type Reader = (Watcher, Arc<Caller>, bool);

/// Returns the next change that the caller may see. Other changes do not wake its connection.
async fn next((mut watcher, caller, first): Reader) -> Option<(News, Reader)> {
    if first {
        return Some((News::Missed, (watcher, caller, false)));
    }
    loop {
        let news = match watcher.next().await {
            News::Missed => News::Missed,
            News::Notices(mut notices) => {
                notices.retain(|notice| caller.sees(&notice.session));
                if notices.is_empty() {
                    continue;
                }
                News::Notices(notices)
            }
        };
        return Some((news, (watcher, caller, false)));
    }
}

/// `{"type":"task","task":{…}}`, `{"type":"ask","ask":{…}}`, `{"type":"session","session":{…}}`, `{"type":"session_deleted","sessionId":"…"}`,
/// `{"type":"reload"}`.
fn lines(news: News) -> impl Iterator<Item = Bytes> + Send + 'static {
    notices(news).map(|notice| {
        let Some(Notice { kind, json, .. }) = &notice else {
            return Bytes::from_static(b"{\"type\":\"reload\"}\n");
        };
        let mut bytes = Vec::with_capacity(json.len() + 64);
        let name = name(*kind);
        match kind {
            NoticeKind::Task | NoticeKind::Ask | NoticeKind::Session => {
                bytes.extend(format!("{{\"type\":\"{name}\",\"{name}\":").into_bytes());
                bytes.extend_from_slice(json);
                bytes.extend_from_slice(b"}\n");
            }
            // The object has one field, beside `type`.
            NoticeKind::SessionDeleted => {
                bytes.extend(format!("{{\"type\":\"{name}\",").into_bytes());
                bytes.extend_from_slice(json.get(1..).unwrap_or_default());
                bytes.push(b'\n');
            }
        }
        bytes.into()
    })
}

fn server_sent(news: News) -> impl Iterator<Item = Event> + Send + 'static {
    notices(news).map(|notice| match &notice {
        None => Event::default().event("reload").data("{}"),
        Some(notice) => Event::default().event(name(notice.kind)).data(String::from_utf8_lossy(&notice.json)),
    })
}

/// The notices one by one, as all readers share them; `None` is `reload`.
fn notices(news: News) -> impl Iterator<Item = Option<Notice>> + Send + 'static {
    let notices = match news {
        News::Missed => vec![None],
        News::Notices(notices) => notices.into_iter().map(Some).collect(),
    };
    notices.into_iter()
}

const fn name(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Task => "task",
        NoticeKind::Ask => "ask",
        NoticeKind::Session => "session",
        NoticeKind::SessionDeleted => "session_deleted",
    }
}
