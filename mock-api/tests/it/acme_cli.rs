//! Runs `agent/tools/acme-cli.sh` against the Acme API, as the agent does. Needs bash, curl and jq.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use mock_api::acme::{AcmeApi, DEFAULT_TOKEN};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::asking::listener;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../agent/tools/acme-cli.sh");

async fn run(url: &str, token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("bash");
    command.arg(SCRIPT).args(arguments).env("ACME_API_URL", url).env("ACME_API_TOKEN", token);
    for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command.output().await.expect("bash has to be installed")
}

async fn start() -> AcmeApi {
    AcmeApi::serve(listener().await, DEFAULT_TOKEN).unwrap()
}

async fn printed(api: &AcmeApi, arguments: &[&str]) -> Value {
    let output = run(&api.url(), DEFAULT_TOKEN, arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refusal(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code(), String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
}

#[tokio::test]
async fn reads_users_by_email_and_by_id() {
    let api = start().await;
    let alice = json!({ "id": "u_alice", "name": "Alice", "email": "alice@acme.test", "plan": "Pro" });
    assert_eq!(printed(&api, &["user", "alice@acme.test"]).await, alice);
    assert_eq!(printed(&api, &["user", "u_alice"]).await, alice);
    assert_eq!(printed(&api, &["usage", "u_alice"]).await["used"], 742);
    assert_eq!(printed(&api, &["subscription", "carol@acme.test"]).await["plan"], "Enterprise");
}

#[tokio::test]
async fn upgrades() {
    let api = start().await;
    assert_eq!(printed(&api, &["upgrade", "bob@acme.test", "Scale"]).await["previousPlan"], "Free");
    assert_eq!(printed(&api, &["user", "u_bob"]).await["plan"], "Scale");
}

#[tokio::test]
async fn says_what_the_api_refused_and_exits_with_1() {
    let api = start().await;
    let ask = async |arguments: &[&str]| refusal(&run(&api.url(), DEFAULT_TOKEN, arguments).await);
    assert_eq!(
        ask(&["user", "nobody@acme.test"]).await,
        (Some(1), "acme-cli: There is no user with the email nobody@acme.test.".to_owned())
    );
    assert_eq!(
        ask(&["usage", "nobody@acme.test"]).await,
        (Some(1), "acme-cli: There is no user with the email nobody@acme.test.".to_owned())
    );
    assert_eq!(
        ask(&["usage", "../u x"]).await,
        (Some(1), "acme-cli: There is no user with the id `../u x`. (HTTP 404)".to_owned())
    );
    assert_eq!(
        ask(&["upgrade", "u_bob", "a\"b"]).await,
        (
            Some(1),
            "acme-cli: There is no plan `a\"b`. The plans are Free, Pro, Scale, Enterprise. (HTTP 400)".to_owned()
        )
    );
    let (status, error) = refusal(&run(&api.url(), "wrong", &["user", "u_bob"]).await);
    assert_eq!((status, error.contains("The bearer token is missing or wrong.")), (Some(1), true), "{error}");
}

#[tokio::test]
async fn wrong_usage_and_environment_exit_with_2() {
    for arguments in [&[][..], &["user"], &["user", "a", "b"], &["upgrade", "a"], &["nonsense"]] {
        let (status, error) = refusal(&run("http://127.0.0.1:1", "t", arguments).await);
        assert_eq!((status, error.contains("acme-cli")), (Some(2), true), "{arguments:?}: {error}");
    }
    let expected = (Some(2), "acme-cli: ACME_API_URL is not set".to_owned());
    assert_eq!(refusal(&run("", "t", &["user", "a"]).await), expected);
    let expected = (Some(2), "acme-cli: ACME_API_TOKEN contains a control character".to_owned());
    assert_eq!(refusal(&run("http://127.0.0.1:1", "t\nx: y", &["user", "a"]).await), expected);
    let help = run("", "", &["--help"]).await;
    assert!(help.status.success() && help.stdout.starts_with(b"Usage: acme-cli.sh COMMAND"));
}

#[tokio::test]
async fn an_unreachable_api_exits_with_3() {
    // This port was free a moment ago, so nothing listens there.
    let address = listener().await.local_addr().unwrap();
    let (status, error) = refusal(&run(&format!("http://{address}"), "t", &["user", "u_bob"]).await);
    assert_eq!((status, error.contains("could not be reached: curl: (7)")), (Some(3), true), "{error}");
}

#[tokio::test]
async fn goes_through_the_proxy_in_lower_case() {
    let api = start().await;
    // The API acts as a proxy here: it uses the path of a request in absolute form.
    let output = Command::new("bash")
        .arg(SCRIPT)
        .args(["user", "u_alice"])
        .env("ACME_API_URL", "http://host.docker.internal:3457")
        .env("ACME_API_TOKEN", DEFAULT_TOKEN)
        .env("http_proxy", api.url())
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(api.calls(), ["GET http://host.docker.internal:3457/users/u_alice 200"]);
}

#[tokio::test]
async fn the_token_is_not_among_the_arguments_of_curl() {
    let directory = tempfile::tempdir().unwrap();
    let curl = directory.path().join("curl");
    // A fake curl returns its arguments.
    let body = "#!/bin/sh\nheader=$(cat)\njq -cn --arg header \"$header\" '$ARGS' --args -- \"$@\"\nprintf 200\n";
    std::fs::write(&curl, body).unwrap();
    std::fs::set_permissions(&curl, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .arg(SCRIPT)
        .args(["upgrade", "u_bob", "Pro"])
        .env("PATH", path)
        .env("ACME_API_URL", "http://acme.test")
        .env("ACME_API_TOKEN", "the-token")
        .output()
        .await
        .unwrap();
    let called: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(called["named"]["header"], "Authorization: Bearer the-token");
    let arguments = called["positional"].to_string();
    assert!(arguments.contains("http://acme.test/users/u_bob/upgrade"), "{arguments}");
    assert!(!arguments.contains("the-token"), "{arguments}");
}
