//! Invariants of every correct client. A request that violates one is answered with 400 and recorded. The CLI reports a
//! 400 at once, whereas it would repeat a 401 for minutes.

use std::collections::HashSet;

use axum::http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::Value;

use super::conversation::{blocks, texts};
use super::failure::Failure;
use super::log::Credential;

/// A violated invariant. The detail never contains a credential or a forbidden text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The number of the request, as in `/__requests`.
    pub request: u64,
    /// The stable name of the rule, such as `tool_pairing`.
    pub rule: &'static str,
    pub detail: String,
}

/// The rules for requests.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) keys: Vec<String>,
    pub(super) tokens: Vec<String>,
    pub(super) forbidden: Vec<String>,
}

/// The name of a rule and the way in which it was violated.
pub(super) type Breach = (&'static str, String);

const OAUTH_BETA: &str = "oauth-2025-04-20";

impl Rules {
    /// The expected credential that the headers carry.
    pub(super) fn credential(&self, headers: &HeaderMap) -> Credential {
        let key = text_header(headers, "x-api-key");
        let bearer = text_header(headers, header::AUTHORIZATION.as_str());
        let token = bearer.and_then(|value| value.strip_prefix("Bearer "));
        let position =
            |accepted: &[String], sent: Option<&str>| accepted.iter().position(|one| Some(one.as_str()) == sent);
        match (key, bearer) {
            (None, None) => Credential::None,
            (Some(_), None) => position(&self.keys, key).map_or(Credential::Wrong, Credential::ApiKey),
            (None, Some(_)) => position(&self.tokens, token).map_or(Credential::Wrong, Credential::OauthToken),
            (Some(_), Some(_)) => Credential::Both,
        }
    }

    /// Checks a request apart from its conversation: credential, API version, forbidden texts.
    pub(super) fn check_envelope(&self, headers: &HeaderMap, body: &[u8]) -> Vec<Breach> {
        let mut breaches = Vec::new();
        let betas = headers.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
        let oauth = betas.flat_map(|value| value.split(',')).any(|beta| beta.trim() == OAUTH_BETA);
        match self.credential(headers) {
            Credential::ApiKey(_) => {}
            Credential::OauthToken(_) if oauth => {}
            Credential::OauthToken(_) => {
                breaches.push(("oauth_beta", format!("an OAuth token needs {OAUTH_BETA} in anthropic-beta")));
            }
            Credential::None => {
                breaches.push(("credential", "there is neither x-api-key nor Authorization: Bearer".to_owned()));
            }
            Credential::Wrong => breaches.push(("credential", "the credential is not an expected one".to_owned())),
            Credential::Both => {
                breaches.push(("credential", "there are both x-api-key and Authorization".to_owned()));
            }
        }
        if text_header(headers, "anthropic-version").is_none() {
            breaches.push(("version", "the header anthropic-version is missing".to_owned()));
        }
        for (number, marker) in self.forbidden.iter().enumerate() {
            if let Some((name, _)) = headers.iter().find(|(_, value)| contains(value.as_bytes(), marker)) {
                breaches.push(("forbidden_text", format!("the header {name} contains the forbidden text {number}")));
            }
            if contains(body, marker) {
                breaches.push(("forbidden_text", format!("the body contains the forbidden text {number}")));
            }
        }
        breaches
    }
}

/// Checks the conversation in a body.
pub(super) fn check_conversation(body: &Value) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let system = texts(&body["system"]).concat();
    if blocks(&body["tools"]).next().is_some() && system.trim().is_empty() {
        breaches.push(("system_prompt", "a request with tools has no system prompt".to_owned()));
    }
    let turns = turns(body);
    if turns.first().is_none_or(|turn| turn.role != "user") {
        breaches.push(("first_message", "the messages do not begin with one of the user".to_owned()));
    }
    check_pairing(&turns, &mut breaches);
    breaches
}

pub(super) fn failure(breaches: &[Breach]) -> Failure {
    let list: Vec<String> = breaches.iter().map(|(rule, detail)| format!("{rule}: {detail}")).collect();
    Failure::new(StatusCode::BAD_REQUEST, format!("scripted model: broken invariant: {}", list.join("; ")))
}

/// Adjacent messages of one role, which the API treats as one.
struct Turn<'a> {
    role: &'a str,
    calls: Vec<&'a str>,
    results: Vec<&'a str>,
}

fn turns(body: &Value) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for message in blocks(&body["messages"]) {
        let role = message["role"].as_str().unwrap_or_default();
        if !matches!(role, "user" | "assistant") {
            continue; // no pairs to check
        }
        if turns.last().is_none_or(|turn| turn.role != role) {
            turns.push(Turn { role, calls: Vec::new(), results: Vec::new() });
        }
        let Some(turn) = turns.last_mut() else { continue };
        for block in blocks(&message["content"]) {
            match block["type"].as_str() {
                Some("tool_use") => turn.calls.push(block["id"].as_str().unwrap_or_default()),
                Some("tool_result") => turn.results.push(block["tool_use_id"].as_str().unwrap_or_default()),
                _ => {}
            }
        }
    }
    turns
}

/// Checks that every call has its result in the next turn, that every result has its call in the previous turn, and
/// that every id is unique.
fn check_pairing(turns: &[Turn<'_>], breaches: &mut Vec<Breach>) {
    let mut seen = HashSet::new();
    for (index, turn) in turns.iter().enumerate() {
        let before = index.checked_sub(1).map_or(&[][..], |before| &turns[before].calls);
        let after = turns.get(index + 1).map_or(&[][..], |after| &after.results);
        for call in &turn.calls {
            if !seen.insert(*call) {
                breaches.push(("tool_pairing", format!("the tool_use id {call} comes twice")));
            }
            if !after.contains(call) {
                breaches.push(("tool_pairing", format!("the tool_use {call} has no tool_result in the next message")));
            }
        }
        for (place, result) in turn.results.iter().enumerate() {
            if !before.contains(result) {
                breaches
                    .push(("tool_pairing", format!("the tool_result {result} has no tool_use in the message before")));
            }
            if turn.results[..place].contains(result) {
                breaches.push(("tool_pairing", format!("the tool_use {result} has two results")));
            }
        }
    }
}

fn text_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[cfg(test)]
mod tests;
