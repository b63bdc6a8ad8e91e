//! The reasons for which a request is not part of a tool.

use super::Chosen;
use super::entry::RecordedRequest;
use super::site::{is_tracker, site_of};

/// Chromium's resource types for the parts of a page.
const PARTS_OF_PAGES: [&str; 11] = [
    "document",
    "stylesheet",
    "style",
    "script",
    "image",
    "font",
    "media",
    "texttrack",
    "manifest",
    "websocket",
    "signed-exchange",
];
/// Types of answers that belong to a page.
const STATIC_TYPES: [&str; 9] =
    ["javascript", "ecmascript", "text/css", "image/", "font/", "video/", "audio/", "wasm", "x-font"];
/// Endings of the names of static files.
const STATIC_ENDINGS: [&str; 22] = [
    ".js",
    ".mjs",
    ".css",
    ".map",
    ".html",
    ".htm",
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".svg",
    ".ico",
    ".webp",
    ".avif",
    ".woff",
    ".woff2",
    ".ttf",
    ".mp4",
    ".webm",
    ".wasm",
    ".txt",
    ".webmanifest",
];
/// Last segments of paths to which pages report about their visitors.
const REPORTS: [&str; 9] =
    ["collect", "beacon", "telemetry", "rum", "analytics", "track", "pageview", "batch-events", "envelope"];

/// The kinds of requests that are taken.
pub(super) struct Filter<'a> {
    pub(super) chosen: &'a Chosen,
    /// The site of the recorded page.
    pub(super) site: Option<&'a str>,
    /// The recorder wrote requests only.
    pub(super) without_responses: bool,
}

impl Filter<'_> {
    /// The reason why a request is left out, or `None` if it becomes part of a tool.
    pub(super) fn reason_against(&self, entry: &RecordedRequest) -> Option<String> {
        let host = entry.host();
        if entry.method == "CONNECT" {
            return Some("tunnels".to_owned());
        }
        if entry.kind.as_deref() == Some("websocket") || ["ws", "wss"].contains(&entry.url.scheme()) {
            return Some("WebSockets".to_owned());
        }
        if !["http", "https"].contains(&entry.url.scheme()) {
            return Some("not http".to_owned());
        }
        let hosts = &self.chosen.hosts;
        let is_chosen = hosts.iter().any(|wanted| *wanted == host || entry.url.host_str() == Some(wanted));
        let site = site_of(&entry.url);
        if !is_chosen && self.site != Some(site.as_str()) && is_tracker(&site) {
            return Some("analytics".to_owned());
        }
        if reports_visitors(entry) {
            return Some("analytics".to_owned());
        }
        if !hosts.is_empty() && !is_chosen {
            return Some(format!("another host: {host}"));
        }
        if hosts.is_empty() && self.site.is_some_and(|own| own != site) {
            return Some(format!("another site: {host}"));
        }
        if entry.is_blocked || (entry.status <= 0 && !self.without_responses) {
            return Some("blocked or unanswered requests".to_owned());
        }
        if is_of_browser(entry) {
            Some("sent by the browser itself".to_owned())
        } else if is_static(entry) {
            Some("pages and static files".to_owned())
        } else if entry.status >= 400 || entry.has_errors {
            Some("failed requests".to_owned())
        } else {
            None
        }
    }
}

fn is_of_browser(entry: &RecordedRequest) -> bool {
    ["OPTIONS", "HEAD", "TRACE"].contains(&entry.method.as_str())
        || matches!(
            entry.kind.as_deref(),
            Some("preflight" | "csp_report" | "cspviolationreport" | "csp-violation-report")
        )
}

/// True for a report about a visitor. It is sent, and nobody needs its answer. A product may have statistics of its own,
/// so a word in the path is not enough.
fn reports_visitors(entry: &RecordedRequest) -> bool {
    let path = entry.url.path().trim_end_matches('/').to_ascii_lowercase();
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_pixel = entry.answer_type.contains("image/") && entry.url.query().is_some();
    let answers_nothing = !entry.has_answer || is_pixel || entry.answer_type.contains("text/plain");
    let is_sent = entry.method == "POST" || is_pixel;
    let is_ping = matches!(entry.kind.as_deref(), Some("ping" | "beacon"));
    let is_well_known = path.starts_with("/cdn-cgi/rum") || path.starts_with("/_vercel/insights");
    // Calls of an API have JSON or a credential; a beacon has neither.
    let is_call = entry.header("authorization").is_some()
        || entry.media_type.as_deref().is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
    is_ping || is_well_known || (is_sent && answers_nothing && !is_call && REPORTS.contains(&last))
}

/// True for a part of a page, as opposed to data.
fn is_static(entry: &RecordedRequest) -> bool {
    let is_json = entry.answer_type.contains("json");
    let is_file = STATIC_TYPES.iter().any(|part| entry.answer_type.contains(part));
    let is_html = entry.answer_type.contains("html");
    let changes = entry.method != "GET";
    match entry.kind.as_deref() {
        Some(kind) if PARTS_OF_PAGES.contains(&kind) => is_html || !(is_json || changes),
        Some("xhr" | "fetch" | "eventsource") => is_file,
        Some(_) | None if changes || is_json => false,
        Some(_) | None => is_file || is_html || is_page_by_request(entry),
    }
}

/// Judges a GET whose answer has no type that decides.
fn is_page_by_request(entry: &RecordedRequest) -> bool {
    let path = entry.url.path().to_ascii_lowercase();
    let wants_page = entry.header("accept").is_some_and(|accept| accept.contains("text/html"));
    wants_page || STATIC_ENDINGS.iter().any(|ending| path.ends_with(ending))
}
