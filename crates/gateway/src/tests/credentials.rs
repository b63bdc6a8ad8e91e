//! The gateway replaces the container's credentials with its own.

use std::path::Path;

use domain::budget::Payer;
use domain::task::TaskId;
use domain::usage::Cost;
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use observe::telemetry::TaskTrace;

use super::world::*;
use crate::{AssignedTask, Assignee, Credential, CredentialKind, Credentials, GatewayFailure, SessionAccess, TaskEnd};

fn smuggling() -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let mut request = request("POST", "/v1/messages?beta=true", ASK);
    for (name, value) in [
        ("x-api-key", "sk-attacker"),
        ("authorization", "Bearer attacker"),
        ("cookie", "session=attacker"),
        ("proxy-authorization", "Basic attacker"),
        ("accept-encoding", "gzip"),
        ("connection", "x-secret-hop"),
        ("x-secret-hop", "attacker"),
        ("anthropic-beta", "effort-2025-11-24,claude-code-20250219"),
        ("anthropic-beta", "files-api-2025-04-14, mcp-client-2025-11-20,oauth-2025-04-20"),
        ("anthropic-beta", "attacker=1, ATTACKER, attacker, attacker-1, code-execution-2025-05-22"),
        ("api-key", "attacker"),
        ("x-goog-api-key", "attacker"),
        ("x-forwarded-authorization", "attacker"),
        ("x_api_key", "attacker"),
        ("x-anthropic-api-key", "attacker"),
        ("ocp-apim-subscription-key", "attacker"),
        ("anthropic-organization-id", "attacker"),
        ("x-stainless-lang", "js"),
        ("x-http-method-override", "attacker"),
        ("anthropic-beta", "context-1m-2025-08-07, effort-2025-11-24, new-2027-01-01"),
        ("anthropic-version", "2023-06-01"),
    ] {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    request
}

fn write_login(path: &Path, token: &str, expires_in: SignedDuration) {
    let at = (Timestamp::now() + expires_in).as_millisecond();
    let text = format!(r#"{{"claudeAiOauth":{{"accessToken":"{token}","refreshToken":"r","expiresAt":{at}}}}}"#);
    // The file is replaced as a whole, as the CLI does it.
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

#[tokio::test]
async fn an_api_key_replaces_what_the_container_sent() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).open();
    let answer = world.client().await.send(smuggling()).await;
    assert_eq!(answer.status, 200);
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "POST /v1/messages?beta=true");
    assert_eq!(seen.header("x-api-key"), Some("sk-operator"));
    assert_eq!(seen.header("anthropic-beta"), Some("effort-2025-11-24,claude-code-20250219,context-1m-2025-08-07"));
    assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(seen.header("host"), Some(server.address.to_string().as_str()));
    assert_eq!(seen.body, ASK);
    assert_eq!(seen.header("x-stainless-lang"), Some("js"));
    for name in ["authorization", "cookie", "proxy-authorization", "accept-encoding", "x-secret-hop"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert!(!format!("{seen:?}").contains("attacker"));
}

#[tokio::test]
async fn a_beta_that_the_cli_was_not_seen_to_send_is_removed_and_logged_once() {
    let server = Server::answering().await;
    let mut setup = Setup::before(server.address);
    let metrics = observe::metrics::Metrics::default();
    setup.settings.metrics = metrics.clone();
    let world = setup.open();
    for _ in 0..3 {
        let mut ask = request("POST", "/v1/messages", ASK);
        ask.headers_mut().insert("anthropic-beta", HeaderValue::from_static("new-feature-2027-01-01"));
        assert_eq!(world.client().await.send(ask).await.status, 200);
    }
    assert!(server.seen().iter().all(|seen| seen.header("anthropic-beta").is_none()));
    assert_eq!(world.log.count("new-feature-2027-01-01"), 1);
    let exposed = metrics.expose(&observe::metrics::Standing::default());
    assert!(exposed.contains("claude_runner_betas_removed_total 3\n"), "{exposed}");
    // The number of names that an agent can write to the log has a bound.
    for number in 0..100 {
        let mut ask = request("POST", "/v1/messages", ASK);
        ask.headers_mut().insert("anthropic-beta", format!("flood-{number}").parse().unwrap());
        world.client().await.send(ask).await;
    }
    assert_eq!(world.log.count("flood-"), 31);
}

#[tokio::test]
async fn only_the_paths_that_the_cli_needs_are_forwarded() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).open();
    let mut client = world.client().await;
    for (method, path) in [
        ("GET", "/v1/messages"),
        ("PUT", "/v1/messages"),
        ("POST", "/v1/messages/"),
        ("POST", "//v1/messages"),
        ("POST", "/v1//messages"),
        ("POST", "/v1/./messages"),
        ("POST", "/v1/files/../messages"),
        ("POST", "/v1/%6dessages"),
        ("POST", "/v1/messages%2fbatches"),
        ("POST", "/V1/messages"),
        ("POST", "/v1/messages;x"),
        ("POST", "/v1/messages?beta=true&x=y"),
        ("POST", "/v1/messages?"),
        ("POST", "/v1/messages?beta=false"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/files"),
        ("GET", "/v1/files"),
        ("GET", "/v1/models"),
        ("GET", "/v1/organizations/users"),
        ("POST", "/v1/complete"),
        ("POST", "/"),
        ("POST", "http://127.0.0.1:8787/v1/files"),
    ] {
        let answer = client.send(request(method, path, ASK)).await;
        assert_eq!(answer.status, 404, "{method} {path}");
    }
    let by_url = r#"{"model":"claude-sonnet-4-6","messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"http://evil.example/"}}]}]}"#;
    let refused = client.send(request("POST", "/v1/messages", by_url)).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(server.seen().is_empty());
    for path in ["/v1/messages", "/v1/messages?beta=true", "/v1/messages/count_tokens?beta=true"] {
        assert_eq!(client.send(request("POST", path, ASK)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_oauth_token_goes_as_a_bearer_with_its_beta() {
    let server = Server::answering().await;
    let mut setup = Setup::before(server.address);
    setup.credentials = Credentials::new(Some(Credential::oauth_token("oat-1\n").unwrap()), None);
    let world = setup.open();
    world.client().await.send(smuggling()).await;
    let seen = &server.seen()[0];
    assert_eq!(seen.header("authorization"), Some("Bearer oat-1"));
    assert_eq!(seen.header("x-api-key"), None);
    assert_eq!(
        seen.header("anthropic-beta"),
        Some("effort-2025-11-24,claude-code-20250219,context-1m-2025-08-07,oauth-2025-04-20")
    );
    assert_eq!(world.gateway.credential_state().kind, Some(CredentialKind::OAuthToken));
}

#[tokio::test]
async fn the_sessions_own_credential_comes_first() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).open();
    let credential = Some(Credential::api_key("sk-session").unwrap());
    world.sandbox.set_access(SessionAccess { credential, ..SessionAccess::default() });
    world.ask().await;
    world.sandbox.set_access(SessionAccess::default());
    world.ask().await;
    let keys: Vec<_> = server.seen().iter().map(|seen| seen.header("x-api-key").unwrap().to_owned()).collect();
    assert_eq!(keys, ["sk-session", "sk-operator"]);
}

fn assignee(payer: Option<Payer>) -> Assignee {
    let credential = Some(Credential::api_key("sk-session").unwrap());
    Assignee {
        session: "demo".parse().unwrap(),
        access: SessionAccess { credential, ..SessionAccess::default() },
        task: payer.map(|payer| AssignedTask { payer, trace: TaskTrace::default(), model: None }),
    }
}

#[tokio::test]
async fn a_request_that_was_held_is_sent_for_the_task_that_the_sandbox_is_assigned_to() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).open();
    // The task before has ended, so no task runs while the request is held.
    world.sandbox.end_task(TaskEnd::Own);
    world.sandbox.hold_requests();
    let assign = async {
        while !world.sandbox.was_asked() {
            tokio::task::yield_now().await;
        }
        assert!(server.seen().is_empty());
        let task = Some(TaskId::generate());
        world.sandbox.assign(assignee(Some(Payer { task, max_cost: Some(Cost::ZERO), ..Payer::default() })));
        assert!(!world.sandbox.was_asked(), "the request came before the task began");
    };
    let (answer, ()) = tokio::join!(world.ask(), assign);
    assert_eq!(answer.status, 402, "the task pays, and has no money");

    world.sandbox.assign(assignee(Some(Payer::default())));
    assert_eq!(world.sandbox.failure(), None, "the failure is the previous task's");
    world.ask().await;
    assert_eq!(server.seen()[0].header("x-api-key"), Some("sk-session"));
    world.client().await.send(request("GET", "http://other.example/", "")).await;
    assert_eq!(world.audit.decisions().last().unwrap(), "demo plain other.example:80: refused: not allowed");
}

#[tokio::test]
async fn a_login_is_read_again_when_it_changes() {
    let server = Server::answering().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".credentials.json");
    let mut setup = Setup::before(server.address);
    setup.credentials = Credentials::new(None, Some(path.clone()));
    let world = setup.open();
    assert_eq!(world.gateway.credential_state().kind, None);

    write_login(&path, "first", SignedDuration::from_hours(1));
    world.ask().await;
    write_login(&path, "second", SignedDuration::from_hours(1));
    world.ask().await;
    let tokens: Vec<_> = server.seen().iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(tokens, ["Bearer first", "Bearer second"]);
    let state = world.gateway.credential_state();
    assert_eq!((state.kind, &state.usable), (Some(CredentialKind::Login), &Ok(())));
    assert!(state.expires_at.unwrap() > Timestamp::now());
}

#[tokio::test]
async fn an_expired_login_is_told_in_words() {
    let server = Server::answering().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".credentials.json");
    write_login(&path, "old", SignedDuration::from_hours(-1));
    let mut setup = Setup::before(server.address);
    setup.credentials = Credentials::new(None, Some(path.clone()));
    let world = setup.open();
    let answer = world.ask().await;
    assert_eq!((answer.status.as_u16(), answer.should_retry()), (401, Some("false")));
    let Some(GatewayFailure::AuthExpired { sentence }) = world.sandbox.failure() else {
        panic!("{:?}", world.sandbox.failure());
    };
    assert!(sentence.starts_with(&format!("the login in {} expired at 2", path.display())), "{sentence}");
    assert!(sentence.contains("run `claude` on the host to log in again"), "{sentence}");
    assert_eq!(world.gateway.credential_state().usable, Err(sentence));
    assert!(server.seen().is_empty(), "nothing is sent with an expired login");
}

#[tokio::test]
async fn without_a_credential_the_cli_ends_at_once() {
    let server = Server::answering().await;
    let mut setup = Setup::before(server.address);
    setup.credentials = Credentials::default();
    let world = setup.open();
    let answer = world.ask().await;
    assert_eq!((answer.status.as_u16(), answer.should_retry()), (401, Some("false")));
    assert!(matches!(world.sandbox.failure(), Some(GatewayFailure::NoCredential { .. })));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_login_renewed_meanwhile_is_tried_once_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".credentials.json");
    write_login(&path, "old", SignedDuration::from_hours(1));
    let renewed = path.clone();
    let server = Server::start(move |_, seen| {
        if seen.header("authorization") == Some("Bearer new") {
            return message("claude-sonnet-4-6", &serde_json::json!({ "input_tokens": 0, "output_tokens": 0 }));
        }
        write_login(&renewed, "new", SignedDuration::from_hours(1));
        api_error(401, "authentication_error")
    })
    .await;
    let mut setup = Setup::before(server.address);
    setup.credentials = Credentials::new(None, Some(path));
    let world = setup.open();
    assert_eq!(world.ask().await.status, 200);
    assert_eq!(server.seen().len(), 2);
    assert_eq!(world.sandbox.failure(), None);
}

#[test]
fn secrets_are_one_printable_line_and_never_printed() {
    for bad in ["", " \n", "two words", "line\nline", "ключ"] {
        assert!(Credential::api_key(bad).is_err(), "{bad:?}");
    }
    let shown = format!("{:?}", Credentials::new(Some(Credential::api_key("sk-secret").unwrap()), None));
    assert!(!shown.contains("sk-secret"), "{shown}");
}
