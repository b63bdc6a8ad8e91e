//! One recorded request and its response.

use domain::plain::of_serde;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::body::{Sent, from_base64};
use super::ids::{FoundId, ids_of};
use crate::input::json;
use crate::left_out::Odd;

/// The maximum length of a URL. Browsers and servers have lower limits.
const MAX_URL: usize = 65_536;

pub(super) struct RecordedRequest {
    /// The method in capital letters.
    pub(super) method: String,
    pub(super) url: Url,
    /// The names are in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) sent: Sent,
    pub(super) media_type: Option<String>,
    pub(super) status: i64,
    /// The browser or the recorder says that the request did not go through.
    pub(super) is_blocked: bool,
    /// The browser's name for the kind of the request: `fetch`, `document`, `image`, …
    pub(super) kind: Option<String>,
    pub(super) answer_type: String,
    pub(super) has_answer: bool,
    /// The answer is an error of GraphQL.
    pub(super) has_errors: bool,
    pub(super) ids: Vec<FoundId>,
}

impl RecordedRequest {
    pub(super) fn parse(number: usize, raw: &RawValue) -> Result<Self, Odd> {
        let place = format!("log.entries[{number}]");
        let entry = super::file::entry(raw).map_err(|error| {
            let reason = of_serde("field", &error.to_string());
            Odd::new(format!("entries that are not JSON: {reason}"), &*place)
        })?;
        let request = &entry["request"];
        if !request.is_object() {
            return Err(Odd::new("entries without a request", format!("{place}.request")));
        }
        let method = string(&request["method"]).unwrap_or_default().trim().to_ascii_uppercase();
        let is_method = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
        if method.is_empty() || method.len() > 16 || !method.bytes().all(is_method) {
            return Err(Odd::new("requests without an HTTP method", format!("{place}.request.method")));
        }
        let mut headers = pairs(&request["headers"]);
        for (name, _) in &mut headers {
            *name = name.to_ascii_lowercase();
        }
        let url = Self::address(request, &method, &headers)
            .map_err(|reason| Odd::new(reason, format!("{place}.request.url")))?;
        Self::add_cookies(request, &mut headers);
        let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let (sent, media_type) = Sent::of(&request["postData"], header("content-type"));

        let response = &entry["response"];
        let kind = ["_resourceType", "resourceType"].iter().find_map(|key| entry[*key].as_str());
        let kind = kind.map(str::to_ascii_lowercase).or_else(|| header("sec-fetch-dest").map(kind_of_destination));
        let content = &response["content"];
        let answer_type = string(&content["mimeType"]).or_else(|| {
            let headers = pairs(&response["headers"]);
            headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, value)| value)
        });
        let answer = answer(content);
        let has_errors = answer.as_ref().is_some_and(|answer| {
            answer["errors"].as_array().is_some_and(|errors| !errors.is_empty()) && answer["data"].is_null()
        });
        Ok(RecordedRequest {
            ids: answer.as_ref().map(|answer| ids_of(answer, url.path())).unwrap_or_default(),
            method,
            url,
            sent,
            media_type,
            status: status(response),
            is_blocked: is_blocked(&entry),
            kind,
            answer_type: answer_type.unwrap_or_default().to_ascii_lowercase(),
            has_answer: string(&content["text"]).is_some_and(|text| !text.is_empty()),
            has_errors,
            headers,
        })
    }

    fn address(request: &Value, method: &str, headers: &[(String, String)]) -> Result<Url, &'static str> {
        let text = string(&request["url"]).unwrap_or_default();
        let text = text.trim();
        if text.is_empty() {
            return Err("requests without a URL");
        }
        // A proxy's request for a tunnel names a host only.
        if method == "CONNECT" {
            return Url::parse("http://tunnel.invalid/").map_err(|_| "tunnels");
        }
        if text.len() > MAX_URL {
            return Err("requests with a URL of more than 64 KiB");
        }
        let host = headers.iter().find(|(name, _)| name == "host" || name == ":authority").map(|(_, value)| value);
        let parsed = match (text.strip_prefix('/'), host) {
            (Some(_), Some(host)) => Url::parse(&format!("https://{host}{text}")),
            _ => Url::parse(text),
        };
        let url = parsed.ok().filter(|url| url.host_str().is_some() || !url.scheme().starts_with("http"));
        url.ok_or("requests with a text that is not a URL")
    }

    /// Some recorders write cookies in a list of their own only. The name and the password in a URL are a header, too.
    fn add_cookies(request: &Value, headers: &mut Vec<(String, String)>) {
        let has = |headers: &[(String, String)], wanted: &str| headers.iter().any(|(name, _)| name == wanted);
        let cookies = pairs(&request["cookies"]);
        if !cookies.is_empty() && !has(headers, "cookie") {
            let list: Vec<String> = cookies.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.push(("cookie".to_owned(), list.join("; ")));
        }
        let with_user = string(&request["url"]).and_then(|url| Url::parse(url.trim()).ok());
        if with_user.is_some_and(|url| url.password().is_some()) && !has(headers, "authorization") {
            headers.push(("authorization".to_owned(), "Basic in-the-url".to_owned()));
        }
    }

    pub(super) fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
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
        let page = self.header("referer").or_else(|| self.header("origin"))?;
        Url::parse(page).ok().filter(|url| url.host_str().is_some())
    }
}

/// A text, also if it was written as a number.
pub(super) fn string(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Names and values: a list of objects, or one object.
pub(super) fn pairs(value: &Value) -> Vec<(String, String)> {
    let named = |name: Option<String>, value: &Value| {
        name.filter(|name| !name.is_empty()).map(|name| (name, string(value).unwrap_or_default()))
    };
    match value {
        Value::Array(list) => list.iter().filter_map(|pair| named(string(&pair["name"]), &pair["value"])).collect(),
        Value::Object(map) => map.iter().filter_map(|(name, value)| named(Some(name.clone()), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn kind_of_destination(destination: &str) -> String {
    match destination {
        "empty" => "fetch",
        "style" => "stylesheet",
        "iframe" | "frame" => "document",
        "audio" | "video" | "track" => "media",
        "report" => "csp-violation-report",
        other => other,
    }
    .to_owned()
}

fn status(response: &Value) -> i64 {
    let status = &response["status"];
    status.as_i64().or_else(|| status.as_str().and_then(|status| status.trim().parse().ok())).unwrap_or_default()
}

/// True if the recorder names an error, or if it marks the request as blocked.
fn is_blocked(entry: &Value) -> bool {
    let said = |value: &Value| match value {
        Value::String(text) => !text.is_empty() && text != "COMPLETE",
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Object(_) => true,
        Value::Null | Value::Array(_) => false,
    };
    let response = &entry["response"];
    let of_entry = ["_error", "_blockedReason", "_blocked_reason", "_failureText", "_charlesStatus", "_wasAborted"];
    let of_response = ["_error", "_failureText", "_blockedReason", "_aborted"];
    of_entry.iter().any(|key| said(&entry[*key])) || of_response.iter().any(|key| said(&response[*key]))
}

/// The answer, if it is JSON.
fn answer(content: &Value) -> Option<Value> {
    let text = content["text"].as_str()?;
    let decoded = (content["encoding"].as_str() == Some("base64")).then(|| from_base64(text));
    let text = match &decoded {
        Some(decoded) => decoded.as_deref()?,
        None => text,
    };
    // Prefixes against the inclusion of JSON as a script.
    let text =
        [")]}',", ")]}'", "while(1);", "for(;;);"].iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(text);
    text.trim_start().starts_with(['{', '[']).then(|| json::value(text).ok())?
}
