use super::SEEN;

/// Betas of features that the gateway does not forward: files, connectors, programs and fetches at the API, and those that raise
/// the price of a request. Without the beta, the API refuses a request that passed the check of the body.
const CLOSED: [&str; 11] = [
    "advisor-",
    "code-execution-",
    "compact-",
    "fast-mode-",
    "files-api-",
    "mcp-client-",
    "mcp-servers-",
    "oauth-",
    "server-side-fallback-",
    "skills-",
    "web-fetch-",
];

#[test]
fn the_list_opens_no_closed_feature() {
    assert!(SEEN.contains("claude-code-20250219") && SEEN.contains("context-1m-2025-08-07"));
    for beta in SEEN.iter() {
        assert!(!CLOSED.iter().any(|closed| beta.starts_with(closed)), "{beta}");
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(beta.bytes().all(is_word) && beta.ends_with(|last: char| last.is_ascii_digit()), "{beta}");
    }
}

#[test]
fn the_betas_of_the_contract_tests_pass() {
    // The CLI sends these only with an OAuth token of its own. In a sandbox it has a key.
    const WITH_OAUTH: [&str; 2] = ["extended-cache-ttl-2025-04-11", "oauth-2025-04-20"];
    let shapes = include_str!("../../../../tests/claude/known-shapes.txt");
    let recorded: Vec<&str> = shapes.lines().filter_map(|shape| shape.strip_prefix("request beta ")).collect();
    assert!(!recorded.is_empty());
    for beta in recorded {
        assert!(SEEN.contains(beta) != WITH_OAUTH.contains(&beta), "{beta}");
    }
}
