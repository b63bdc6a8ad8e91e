//! A session's files from outside, in a workspace with hostile names and links, and the disk use of its sandbox.

use std::collections::BTreeMap;
use std::io::Read as _;

use reqwest::Method;
use serde_json::{Value, json};

use crate::bounds::within;
use crate::server::{Setup, TestServer};

const TRICKS: &str = r#"
set -e
mkdir -p dir/sub && echo inner > dir/sub/inner.txt
ln -s / root; ln -s /home/agent home; ln -s ../../../../etc/passwd passwd; ln -s dir/sub good; ln -s loop loop
ln -s /home/agent dir/home
echo '<script>alert(1)</script>' > page.html
printf '\x89PNG\r\n\x1a\n<script>' > picture.svg
printf 'a\0b' > binary
mkfifo fifo; echo one > one; ln one second
truncate -s 64M hole
touch $'new\nline' $'\xff\xfe' '..name' 'a"; b'
d=$(printf 'd/%.0s' $(seq 300)); mkdir -p $d
mkdir closed; touch closed/in; chmod 000 closed
echo in-the-home > ~/secret-of-the-home
"#;

struct File {
    status: u16,
    headers: reqwest::header::HeaderMap,
    bytes: Vec<u8>,
}

async fn get(server: &TestServer, path: &str) -> File {
    let answer = server.request(Method::GET, &format!("/session/s/files{path}")).send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    File { status, headers, bytes: within(path, answer.bytes()).await.unwrap().to_vec() }
}

async fn file(server: &TestServer, path: &str, kind: &str) -> Vec<u8> {
    let file = get(server, path).await;
    assert_eq!((file.status, file.headers["content-type"].to_str().unwrap()), (200, kind), "{path}");
    assert_eq!(file.headers["x-content-type-options"], "nosniff");
    assert!(file.headers["content-security-policy"].to_str().unwrap().starts_with("sandbox"), "{:?}", file.headers);
    let how = if path.contains("inline") && !kind.contains("octet") { "inline; " } else { "attachment; " };
    assert!(file.headers["content-disposition"].to_str().unwrap().starts_with(how), "{:?}", file.headers);
    file.bytes
}

#[tokio::test]
async fn a_trap_of_a_workspace_is_shown_and_nothing_beside_it() {
    let server = Setup::new().template_file("tricks.sh", TRICKS, 0o644).start().await;
    assert_eq!(server.get("/session/s/files").await.problem(404, "session_not_found")["status"], 404);
    server.say("s", "bash:bash tricks.sh").await;

    let list = server.get("/session/s/files").await.ok();
    assert_eq!((&list["path"], &list["truncated"]), (&json!(""), &json!(false)));
    let entries: BTreeMap<&str, &Value> =
        list["entries"].as_array().unwrap().iter().map(|entry| (entry["name"].as_str().unwrap(), entry)).collect();
    for (name, kind) in [
        ("dir", "directory"),
        ("root", "symlink"),
        ("page.html", "file"),
        ("fifo", "other"),
        ("new\nline", "file"),
        ("\u{fffd}\u{fffd}", "file"),
        ("..name", "file"),
        ("closed", "directory"),
        ("AGENTS.md", "file"),
    ] {
        assert_eq!(entries[name]["type"], kind, "{name}: {list:#}");
    }
    assert_eq!((&entries["root"]["target"], &entries["hole"]["size"]), (&json!("/"), &json!(64 << 20)));
    assert_eq!(entries["closed"]["mode"], "0000");
    let list = server.get("/session/s/files/dir").await.ok();
    let names: Vec<&Value> = list["entries"].as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
    assert_eq!((&list["path"], names), (&json!("dir"), vec![&json!("home"), &json!("sub")]));

    assert_eq!(file(&server, "/dir/sub/inner.txt", "text/plain; charset=utf-8").await, b"inner\n");
    let text = "text/plain; charset=utf-8";
    assert_eq!(file(&server, "/page.html?inline=1", text).await, b"<script>alert(1)</script>\n");
    file(&server, "/picture.svg?inline=1", "image/png").await;
    file(&server, "/binary?inline=1", "application/octet-stream").await;
    assert_eq!(file(&server, "/new%0Aline", text).await, b"");
    assert_eq!(file(&server, "/a%22%3B%20b", text).await, b"");
    assert_eq!(file(&server, "/second", text).await, b"one\n");
    assert_eq!(file(&server, "/hole", "application/octet-stream").await.len(), 64 << 20);

    // No link is followed in any part of a path, and no special name reaches a file.
    for path in [
        "/root",
        "/root/etc/passwd",
        "/root/home/agent/secret-of-the-home",
        "/home/secret-of-the-home",
        "/dir/home/secret-of-the-home",
        "/passwd",
        "/good",
        "/good/inner.txt",
        "/loop",
        "/loop/x",
        "/fifo",
        "/dir/..%2f..%2fetc/passwd",
        "/%2e%2e%2fetc/passwd",
        "/dir%2f%2e%2e",
        "/a%00b",
        "//etc",
    ] {
        let answer = server.get(&format!("/session/s/files{path}")).await;
        let problem = answer.problem(400, "invalid_request");
        assert!(problem["error"].as_str().unwrap().starts_with("path: "), "{path}: {problem}");
    }
    for path in ["/none", "/dir/none/x", "/page.html/x"] {
        server.get(&format!("/session/s/files{path}")).await.problem(404, "file_not_found");
    }
    server.get("/session/s/files?format=zip").await.problem(400, "invalid_request");

    // The archive contains only entries that are safe to unpack.
    let tar = get(&server, "?format=tar").await;
    assert_eq!((tar.status, &tar.headers["content-type"]), (200, &"application/x-tar".parse().unwrap()));
    let mut archive = tar::Archive::new(tar.bytes.as_slice());
    let mut unpacked = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = String::new();
        if entry.size() < 1024 {
            let _ = entry.read_to_string(&mut content);
        }
        unpacked.insert(name, (entry.header().entry_type(), content));
    }
    assert_eq!(unpacked["workspace/dir/sub/inner.txt"].1, "inner\n");
    assert_eq!(unpacked["workspace/good"].0, tar::EntryType::Symlink);
    for name in ["root", "home", "passwd", "dir/home", "fifo"] {
        assert!(!unpacked.contains_key(&format!("workspace/{name}")), "{name}");
    }
    let allowed = [tar::EntryType::Regular, tar::EntryType::Directory, tar::EntryType::Symlink];
    assert!(unpacked.values().all(|(kind, _)| allowed.contains(kind)));

    // Callers that see everything get the session's size.
    let seen = server.get("/sandboxes").await.ok();
    let own = seen["sandboxes"].as_array().unwrap().iter().find(|sandbox| sandbox["sessionId"] == "s");
    let own = own.unwrap_or_else(|| panic!("{seen:#}"));
    assert_eq!(own["state"], "idle");
    assert!(own["memoryBytes"].as_u64().unwrap() > 1 << 20 && own["processes"].as_u64().unwrap() >= 2, "{seen:#}");
    assert_eq!(own["memoryLimitBytes"], 2_u64 << 30);
    assert!(seen["engine"]["cpus"].as_u64().unwrap() > 0 && seen["pool"]["live"].as_u64().unwrap() > 0, "{seen:#}");

    // A reader that stops reading blocks no one: the files are deleted, and its answer is cut off.
    let slow = server.request(Method::GET, "/session/s/files/hole").send().await.unwrap();
    server.delete("/session/s").await.ok();
    assert!(within("the answer is cut", slow.bytes()).await.is_err());
    server.get("/session/s/files").await.problem(404, "session_not_found");
    server.finish().await;
}

/// Lists the workspace of the session `s`.
async fn names(server: &TestServer) -> Vec<String> {
    let list = server.get("/session/s/files").await.ok();
    let entries = list["entries"].as_array().unwrap().iter();
    entries.map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_session_without_a_sandbox_gets_one_for_reading() {
    let server = Setup::new().env("IDLE_TIMEOUT_MS", "200").env("FILES_IDLE_MS", "600000").start().await;
    server.say("s", "bash:echo content > made").await;
    within("the sandbox is gone", async { while !server.containers().await.is_empty() {} }).await;

    assert!(names(&server).await.contains(&"made".to_owned()));
    let reader = server.container().await.id;
    assert_eq!(file(&server, "/made", "text/plain; charset=utf-8").await, b"content\n");
    let tar = get(&server, "?format=tar").await;
    assert_eq!(tar.status, 200);
    assert_eq!(server.container().await.id, reader, "it stays for the next reader");

    // The agent's sandbox starts beside it, and the files are then read there.
    server.say("s", "bash:echo more > added").await;
    assert!(names(&server).await.contains(&"added".to_owned()));
    // The reader ends on its own, and nobody waits for it.
    server.kill_container(&reader).await;
    within("the sandboxes are gone", async { while !server.containers().await.is_empty() {} }).await;
    assert!(names(&server).await.contains(&"added".to_owned()));
    assert_ne!(server.container().await.id, reader);

    // A reset removes the reader before the files.
    server.post_nothing("/session/s/reset").await.ok();
    assert_eq!(server.containers().await, []);
    assert_eq!(names(&server).await, [] as [&str; 0]);
    server.finish().await;
}

#[tokio::test]
async fn files_are_read_after_the_server_was_killed() {
    let mut server = Setup::new().env("FILES_IDLE_MS", "0").start().await;
    server.say("s", "bash:echo content > made").await;
    let sandbox = server.container().await.id;
    let waiting = server.request(Method::GET, "/session/s/files/made").send().await.unwrap();
    assert_eq!(waiting.status(), 200);
    server.kill().await;
    server.start_again().await;
    assert!(names(&server).await.contains(&"made".to_owned()));
    assert!(server.say("s", "bash:cat made").await.contains("content"));
    assert_eq!(file(&server, "/made", "text/plain; charset=utf-8").await, b"content\n");
    assert_eq!(server.container().await.id, sandbox, "it is read where the agent works");
    server.finish().await;
}

#[tokio::test]
async fn an_agent_that_takes_all_processes_and_stops_them_is_read_all_the_same() {
    let server = Setup::new().env("SANDBOX_PIDS", "128").start().await;
    let hog = "bash:echo kept > new; mv new file; (for i in $(seq 300); do sleep 600 & done) 2> /dev/null; kill -STOP 1; echo done";
    server.enqueue("s", hog).await;
    let reader = async { while !names(&server).await.contains(&"file".to_owned()) {} };
    within("the files are listed", reader).await;
    let text = "text/plain; charset=utf-8";
    for _ in 0..20 {
        assert_eq!(file(&server, "/file", text).await, b"kept\n");
    }
    server.finish().await;
}

/// Prints how long a list takes while the sandbox is up: the first page, in the sandbox, is part of each.
#[tokio::test]
async fn a_list_does_not_read_what_is_below() {
    let server = Setup::new().start().await;
    let make = "bash:mkdir many big; (cd many; seq -f 'file-%05g' 10000 | xargs touch); \
                for i in 1 2 3 4; do truncate -s 1G big/$i; done; echo made";
    assert!(server.say("s", make).await.contains("made"));
    for (path, count) in [("/many", 10_000), ("", 0), ("/big", 4)] {
        let mut times = Vec::new();
        for _ in 0..20 {
            let began = std::time::Instant::now();
            let list = server.get(&format!("/session/s/files{path}")).await.ok();
            times.push(began.elapsed());
            assert_eq!(list["truncated"], false);
            assert!(list["entries"].as_array().unwrap().len() >= count);
        }
        times.sort();
        println!("a list of {path:?}: median {:?}, longest {:?}", times[10], times[19]);
    }
    server.finish().await;
}
