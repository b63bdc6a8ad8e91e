//! The headers that pass through the gateway.

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue};

/// Tells the CLI's API client whether to retry, whatever the status.
pub(super) const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
pub(super) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// Names the operator's account, which the sandbox must not see.
const ANTHROPIC_ORGANIZATION_ID: HeaderName = HeaderName::from_static("anthropic-organization-id");

/// Without this beta, the API refuses an OAuth token. The CLI sends it only if it has such a token itself.
const OAUTH_BETA: &str = "oauth-2025-04-20";

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

/// Betas of features that the gateway does not forward: files, connectors, server-side programs and fetches, and those that change
/// the price of a request. Without the beta, the API refuses a request that passed the check of the body.
const CLOSED_BETAS: [&str; 9] = [
    "advisor-",
    "code-execution-",
    "compact-",
    "fast-mode-",
    "files-api-",
    "mcp-client-",
    "server-side-fallback-",
    "skills-",
    "web-fetch-",
];
/// The CLI never sends more or longer ones.
const MAX_BETAS: usize = 40;
const MAX_BETA_BYTES: usize = 80;

fn is_open_beta(beta: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_BETA_BYTES).contains(&beta.len())
        && beta.bytes().all(is_word)
        && ends_in_date(beta)
        && beta != OAUTH_BETA
        && !CLOSED_BETAS.iter().any(|closed| beta.starts_with(closed))
}

/// Returns true for a suffix like `-2025-05-14` or `-20250219`, which every known beta has.
fn ends_in_date(beta: &str) -> bool {
    let shapes = ["-dddd-dd-dd", "-dddddddd"];
    shapes.iter().any(|shape| {
        let from = beta.len().saturating_sub(shape.len());
        beta.len() > shape.len()
            && beta.bytes().skip(from).zip(shape.bytes()).all(|(byte, expected)| match expected {
                b'd' => byte.is_ascii_digit(),
                expected => byte == expected,
            })
    })
}

/// Adds or removes the OAuth beta and keeps all other allowed betas, which may be spread over several headers.
pub(super) fn set_oauth_beta(headers: &mut HeaderMap, wanted: bool) {
    let mut betas: Vec<String> = headers
        .get_all(ANTHROPIC_BETA)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|beta| beta.trim().to_owned())
        .filter(|beta| is_open_beta(beta))
        .take(MAX_BETAS)
        .collect();
    if wanted {
        betas.push(OAUTH_BETA.to_owned());
    }
    headers.remove(ANTHROPIC_BETA);
    if let Ok(value) = HeaderValue::from_str(&betas.join(","))
        && !betas.is_empty()
    {
        headers.insert(ANTHROPIC_BETA, value);
    }
}
