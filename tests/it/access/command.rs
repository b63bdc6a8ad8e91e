//! `claude-runner key` as an operator runs it.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{id_of, key_command};
use crate::server::{Process, Setup};

#[test]
fn keys_are_made_listed_and_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let key = |arguments: &[&str]| {
        let output = key_command(directory.path(), arguments);
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.success(), out, err)
    };
    let (ok, out, err) = key(&[
        "create",
        "--scope",
        "submit",
        "--sessions",
        "acme-",
        "--expires",
        "30d",
        "--name",
        "shop",
        "--max-day-usd",
        "5",
    ]);
    assert!(ok && out.lines().count() == 1 && out.starts_with("crk_"), "stdout contains only the key: {out}");
    let secret = out.trim();
    let id = id_of(secret);
    assert!(err.contains(id) && !err.contains(secret), "{err}");

    let (ok, list, _) = key(&["list"]);
    assert!(ok && [id, "valid", "submit", "acme-", "shop"].iter().all(|word| list.contains(word)), "{list}");
    let (_, json, _) = key(&["list", "--json"]);
    let (random, listed) = (&secret[15..], serde_json::from_str::<Value>(&json).unwrap());
    assert!(!json.contains(random) && !list.contains(random) && !json.contains("digest"), "{json}");
    assert_eq!((&listed["id"], &listed["sessions"]), (&json!(id), &json!("acme-")), "an object a line");
    let file = std::fs::read(directory.path().join("claude-runner.db")).unwrap();
    assert!(!file.windows(random.len()).any(|window| window == random.as_bytes()), "the secret is in the store");

    assert!(key(&["revoke", id]).0);
    assert!(key(&["list"]).1.contains("revoked"));
    for (wrong, says) in [
        (&["revoke", id][..], "no key"),
        (&["revoke", "nobody"], "no key"),
        (&["revoke", "../x"], "letters"),
        (&["create"], "--scope"),
        (&["create", "--scope", "root"], "scope"),
        (&["create", "--scope", "read", "--sessions", ""], "sessions"),
        (&["create", "--scope", "read", "--sessions", "a/b"], "sessions"),
        (&["create", "--scope", "read", "--expires", "2001-01-01"], "future"),
        (&["create", "--scope", "read", "--expires", "soon"], "30d"),
        (&["create", "--scope", "read", "--max-task-usd", "0"], "above 0"),
        (&["create", "--scope", "read", "--max-output-tokens", "0"], "max-output-tokens"),
    ] {
        let (ok, out, err) = key(wrong);
        assert!(!ok && out.is_empty() && err.contains(says), "{wrong:?}: {out}{err}");
    }
    assert_eq!(key(&["list", "--json"]).1.lines().count(), 1, "what was wrong made a key");
}

#[tokio::test]
async fn beyond_loopback_a_server_starts_with_a_key_only() {
    let server = Setup::new().without_image().start().await;
    let data = server.directory().join("other");
    let mut environment = server.environment().clone();
    environment.insert("DATA_DIR".to_owned(), data.display().to_string());
    environment.insert("RUNTIME_DIR".to_owned(), server.directory().join("other-run").display().to_string());
    environment.insert("HOST".to_owned(), "0.0.0.0".to_owned());
    let start = || Process::spawn(&environment, server.directory());

    let mut process = start();
    assert_eq!(process.address().await, None);
    assert!(!process.ended().await.success());
    let said = process.log();
    assert!(said.contains("claude-runner key create") && said.contains("API_KEYS") && said.contains("HOST"), "{said}");

    let made = key_command(&data, &["create", "--scope", "admin"]);
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let mut process = start();
    let port = process.address().await.expect("it starts with a key").port();
    let ask = async |key: &str| {
        let url = format!("http://127.0.0.1:{port}/sessions");
        reqwest::Client::new().get(url).bearer_auth(key).send().await.unwrap().status().as_u16()
    };
    assert_eq!((ask(&key).await, ask("wrong").await), (200, 401));
    assert!(key_command(&data, &["revoke", id_of(&key)]).status.success());
    assert!(process.says("an API key is no longer valid", 1).await);
    assert_eq!((ask(&key).await, ask("").await), (401, 401), "the last key was removed");
    process.signal(Signal::SIGTERM);
    assert!(process.ended().await.success());
    let mut process = start();
    assert_eq!(process.address().await, None, "it started with a revoked key");
    process.ended().await;
    server.finish().await;
}
