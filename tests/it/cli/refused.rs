//! Tests errors between a command and its server: each kind has a message and an exit status.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{ended, run};
use crate::server::Setup;

const KEY: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn each_refusal_has_a_sentence_and_an_exit_status() {
    let server = Setup::new().without_image().env("API_KEYS", KEY).start().await.with_key(KEY);
    let nobody = "http://127.0.0.1:1";
    for (arguments, key, code, says) in [
        (&["sessions"][..], "", 77, "set CLAUDE_RUNNER_KEY"),
        (&["sessions"], "wrong", 77, "rejects this API key"),
        (&["sessions", "show", "nobody"], KEY, 64, "there is no session \"nobody\""),
        (&["sessions", "show", "a/b"], KEY, 64, "cannot contain '/'"),
        (&["sessions", "show", ".."], KEY, 64, "cannot be session ids"),
        (&["sessions", "delete", "nobody"], KEY, 64, "there is no session"),
        (&["sessions", "reset", "nobody"], KEY, 64, "there is no session"),
        (&["tasks", "show", "nobody"], KEY, 64, "there is no task"),
        (&["tasks", "--status", "odd"], KEY, 64, "queued, running"),
        (&["logs", "-f", "nobody"], KEY, 64, "there is no task"),
        (&["export", "nobody"], KEY, 64, "there is no session and no task \"nobody\""),
        (&["abort", "nobody"], KEY, 1, "there was nothing to end"),
        (&["retry", "nobody"], KEY, 64, "there is no task"),
        (&["webhooks", "--status", "odd"], KEY, 64, "pending, delivered"),
        (&["webhooks", "--task", "nobody"], KEY, 64, "task:"),
        (&["webhooks", "replay", "nobody"], KEY, 64, "nobody"),
        (&["models", "refresh"], KEY, 64, "set MODEL_PRICES_URL"),
        (&["models"], "wrong", 77, "rejects this API key"),
        (&["agents"], "wrong", 77, "rejects this API key"),
        (&["task", "--session", "s", "--agent", "nobody", "say:x"], KEY, 64, "agent: there is no \"nobody\""),
        (&["task", "--session", "s", "--webhook", "nowhere", "say:x"], KEY, 64, "webhook: "),
        (&["usage", "--by", "hour"], KEY, 64, "by:"),
        (&["task", "--session", "s", "--model", "an odd name", "say:x"], KEY, 64, "model:"),
        (&["task", "--session", "s", "--env", "NOT_SET", "say:x"], KEY, 64, "NOT_SET=VALUE"),
        (&["task", "--session", "s", "--timeout", "soon", "say:x"], KEY, 64, "90s"),
        (&["task", "--session", "s"], KEY, 64, "<MESSAGE"),
        (&["task", "--session", "s", "--repo", "a/b", "say:x"], KEY, 64, "--repo"),
        (&["task", "--session", "s", "say:x", "--url", nobody], KEY, 69, "no server answers at http://127.0.0.1:1/"),
        (&["tasks", "--url", "runner.example.com"], KEY, 64, "CLAUDE_RUNNER_URL"),
        // The image is missing: the task fails and the command shows the reason.
        (&["task", "--session", "s", "say:x"], KEY, 1, "engine_unavailable"),
    ] {
        let mut command = server.program(arguments);
        command.env("CLAUDE_RUNNER_KEY", key);
        let ran = ended(command, arguments).await;
        assert!(ran.code == code && ran.out.is_empty() && ran.err.contains(says), "{arguments:?}: {ran:#?}");
        assert!(key.is_empty() || !ran.err.contains(KEY), "{arguments:?} shows the key: {}", ran.err);
    }

    // Another program listens on the port.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 1024]).await.unwrap();
        socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
    };
    let arguments = ["sessions", "--url", &url];
    let (ran, ()) = tokio::join!(run(server.directory(), &arguments), answers);
    assert!(ran.code == 1 && ran.err.contains("is not Claude Runner"), "{ran:#?}");
    server.finish().await;
}
