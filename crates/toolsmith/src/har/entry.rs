//! One recorded request and its response.

use base64::Engine as _;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::body::Sent;
use crate::InputError;

/// Words in paths and host names of visitor statistics.
const ANALYTICS: [&str; 16] = [
    "analytics",
    "telemetry",
    "metrics",
    "stats",
    "tracking",
    "beacon",
    "collect",
    "segment",
    "sentry",
    "doubleclick",
    "googletagmanager",
    "hotjar",
    "mixpanel",
    "amplitude",
    "clarity",
    "rum",
];
/// Chromium's resource types for the parts of a page.
const PARTS_OF_PAGES: [&str; 9] =
    ["document", "stylesheet", "script", "image", "font", "media", "texttrack", "manifest", "websocket"];

#[derive(Deserialize)]
struct Raw {
    request: RawRequest,
    #[serde(default)]
    response: RawResponse,
    #[serde(rename = "_resourceType")]
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Pair>,
    post_data: Option<RawBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawBody {
    #[serde(default)]
    pub(super) mime_type: String,
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) params: Vec<Pair>,
}

#[derive(Deserialize)]
pub(super) struct Pair {
    pub(super) name: String,
    #[serde(default)]
    pub(super) value: String,
}

#[derive(Default, Deserialize)]
struct RawResponse {
    #[serde(default)]
    status: i64,
    #[serde(default)]
    content: RawContent,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawContent {
    #[serde(default)]
    mime_type: String,
    text: Option<String>,
    encoding: Option<String>,
}

pub(super) struct RecordedRequest {
    /// The method in capital letters.
    pub(super) method: String,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) sent: Sent,
    status: i64,
    kind: Option<String>,
    answer_type: String,
    pub(super) answer: Option<Value>,
}

impl RecordedRequest {
    pub(super) fn parse(number: usize, entry: &Value) -> Result<Self, InputError> {
        let place = format!("log.entries[{number}]");
        let raw: Raw = serde_path_to_error::deserialize(entry)
            .map_err(|error| InputError::at(format!("{place}.{}", error.path()), error.inner().to_string()))?;
        let Raw { request, response, kind } = raw;
        let method = request.method.to_ascii_uppercase();
        if method.is_empty() || method.len() > 16 || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(InputError::at(format!("{place}.request.method"), "it must be an HTTP method, such as GET"));
        }
        let url =
            Url::parse(&request.url).ok().filter(|url| url.host_str().is_some() || !url.scheme().starts_with("http"));
        let url = url.ok_or_else(|| {
            let shown: String = request.url.chars().filter(|c| !c.is_control()).take(80).collect();
            InputError::at(format!("{place}.request.url"), format!("`{shown}` is not a URL"))
        })?;
        Ok(RecordedRequest {
            method,
            url,
            headers: request.headers.into_iter().map(|pair| (pair.name.to_ascii_lowercase(), pair.value)).collect(),
            sent: Sent::of(request.post_data),
            status: response.status,
            kind,
            answer_type: response.content.mime_type.to_ascii_lowercase(),
            answer: answer(&response.content),
        })
    }

    /// The host, with the port unless it is the scheme's default.
    pub(super) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// The page that sent the request, if the request names it.
    pub(super) fn page(&self) -> Option<Url> {
        let header = |wanted: &str| self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let page = header("referer").or_else(|| header("origin"))?;
        Url::parse(page).ok().filter(|url| url.host_str().is_some())
    }

    pub(super) fn is_web(&self) -> bool {
        ["http", "https"].contains(&self.url.scheme()) && self.kind.as_deref() != Some("websocket")
    }

    pub(super) fn is_document(&self) -> bool {
        self.kind.as_deref() == Some("document")
    }

    pub(super) fn is_preflight(&self) -> bool {
        ["OPTIONS", "HEAD", "CONNECT", "TRACE"].contains(&self.method.as_str())
            || matches!(self.kind.as_deref(), Some("preflight" | "ping" | "csp_report" | "csp-violation-report"))
    }

    pub(super) fn is_analytics_by_path(&self) -> bool {
        self.counts_visitors(self.url.path(), &['/', '-', '_', '.'])
    }

    pub(super) fn is_analytics_by_host(&self) -> bool {
        self.counts_visitors(self.url.host_str().unwrap_or_default(), &['.', '-'])
    }

    /// A product may have statistics of its own as data. Trackers send more than they request.
    fn counts_visitors(&self, text: &str, between: &[char]) -> bool {
        let sends = self.method != "GET" || !self.answer_type.contains("json");
        sends && text.to_ascii_lowercase().split(between).any(|word| ANALYTICS.contains(&word))
    }

    /// True for a part of a page, as opposed to data.
    pub(super) fn is_static(&self) -> bool {
        let is_data = self.answer_type.contains("json") || self.method != "GET";
        match self.kind.as_deref() {
            Some(kind) if PARTS_OF_PAGES.contains(&kind) => !is_data || self.answer_type.contains("html"),
            Some("xhr" | "fetch") => ["javascript", "css", "image/", "font/", "video/", "audio/", "wasm"]
                .iter()
                .any(|part| self.answer_type.contains(part)),
            Some(_) | None => !is_data,
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.status >= 400 || self.status < 0
    }

    pub(super) fn has_upload(&self) -> bool {
        matches!(self.sent, Sent::Other)
    }
}

fn answer(content: &RawContent) -> Option<Value> {
    let text = content.text.as_deref()?;
    if content.encoding.as_deref() == Some("base64") {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        return serde_json::from_slice(&bytes).ok();
    }
    serde_json::from_str(text).ok()
}
