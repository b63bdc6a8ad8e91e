//! The headers that pass through the gateway.

use http::HeaderMap;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};

/// Tells the CLI's API client whether to retry, whatever the status.
pub(super) const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
pub(super) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// Names the operator's account, which the sandbox must not see.
const ANTHROPIC_ORGANIZATION_ID: HeaderName = HeaderName::from_static("anthropic-organization-id");

/// Removes the headers of a single connection (RFC 9110, 7.6.1) and of proxies.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let proxy = headers.keys().filter(|name| name.as_str().starts_with("proxy-")).cloned();
    let fixed = [CONNECTION, KEEP_ALIVE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    for name in proxy.chain(named).chain(fixed).collect::<Vec<_>>() {
        headers.remove(name);
    }
}

/// Headers that the CLI sends and the API understands. The list names allowed headers, because a model API behind another gateway
/// may read a credential from any header, and a key that the agent brings must reach no one.
const MODEL_HEADERS: [&str; 7] = [
    "accept",
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
    "anthropic-version",
    "content-type",
    "user-agent",
    "x-app",
];
/// Prefixes of headers by which the CLI describes itself and its client library.
const MODEL_HEADER_PREFIXES: [&str; 2] = ["x-stainless-", "x-claude-code-"];

/// Removes all headers that the API does not need from a model request, above all the container's own credentials.
pub(super) fn strip_model_request(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    let passes = |name: &str| {
        MODEL_HEADERS.contains(&name) || MODEL_HEADER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let others: Vec<HeaderName> = headers.keys().filter(|name| !passes(name.as_str())).cloned().collect();
    for name in others {
        headers.remove(name);
    }
}

/// Removes headers that the sandbox must not see from the model API's answer, and the length, because the answer is forwarded in
/// chunks.
pub(super) fn strip_model_answer(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    for name in [CONTENT_LENGTH, SET_COOKIE, ANTHROPIC_ORGANIZATION_ID] {
        headers.remove(name);
    }
}
