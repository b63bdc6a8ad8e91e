//! A session from its first task to its end: its memory, its resets and its isolation.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::agent_image::TestImage;
use crate::server::{Setup, TestServer};

#[tokio::test]
async fn a_session_remembers_until_it_is_reset_and_is_gone_once_deleted() {
    let server = TestServer::start().await;
    let first = server.task("s", "say:hello").await.ok();
    assert_eq!(first["output"], Value::Null);
    assert_eq!((&first["response"], &first["resumed"]), (&json!("hello"), &json!(false)));
    let recalled = server.task("s", "recall:").await.ok();
    assert_eq!(recalled["resumed"], true);
    assert!(recalled["response"].as_str().unwrap().contains("say:hello"), "{recalled:#}");

    // Commands of the CLI are plain messages here: the model gets them, and the conversation is kept.
    for command in ["/clear", "/cost", "/compact now"] {
        server.task("s", command).await.ok();
        assert!(server.model.requests().last().unwrap().prompt.contains(command), "{command} did not reach the model");
    }
    assert!(server.say("s", "recall:").await.contains("say:hello"));

    server.task_with("s", "say:in context", &json!({ "context": "Channel: web-chat" })).await.ok();
    let prompt = server.model.requests().last().unwrap().prompt.clone();
    assert_eq!(prompt, "## Context\n\nChannel: web-chat\n\n---\n\nsay:in context");

    assert_eq!(server.say("s", "bash:cat note.txt; echo changed > note.txt").await, "done: from the template");
    assert_eq!(server.get("/session/s").await.ok()["turns"], 8);
    let container = server.container().await;

    assert_eq!(server.post_nothing("/session/s/reset").await.ok(), json!({ "sessionId": "s", "reset": true }));
    assert_eq!(server.get("/session/s").await.ok()["turns"], 0);
    let after = server.task("s", "bash:cat note.txt").await.ok();
    assert_eq!((&after["response"], &after["resumed"]), (&json!("done: from the template"), &json!(false)));
    assert!(!server.say("s", "recall:").await.contains("hello"), "the conversation was not forgotten");
    assert_ne!(server.container().await.id, container.id);
    assert_eq!(server.volumes().await.len(), 2);

    assert_eq!(server.delete("/session/s").await.ok(), json!({ "deleted": "s" }));
    server.assert_nothing_left().await;
    server.get("/session/s").await.problem(404, "session_not_found");
    server.finish().await;
}

#[tokio::test]
async fn two_sessions_side_by_side_see_nothing_of_each_other() {
    let server = TestServer::start().await;
    // A session's name may contain any of these characters.
    let (one, other) = ("user 1: ä/…".replace('/', "|"), "user-2".to_owned());
    let write = "bash:echo mine > secret.txt; echo mine > ~/secret.txt; ls";
    let (a, b) = tokio::join!(server.say(&one, write), server.say(&other, "say:hi"));
    assert!(a.contains("secret.txt") && b == "hi", "{a} {b}");
    let seen = server.say(&other, "bash:cat secret.txt ~/secret.txt; find / -name secret.txt 2>/dev/null; ls").await;
    assert!(!seen.contains("mine") && !seen.contains("/secret.txt\n"), "{seen}");
    assert!(server.say(&one, "bash:cat secret.txt ~/secret.txt").await.contains("mine\nmine"));
    assert!(!server.say(&other, "recall:").await.contains("mine"));

    let list = server.get("/sessions").await.ok();
    let mut names: Vec<&str> = list.as_array().unwrap().iter().map(|one| one["sessionId"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, [one.as_str(), &other]);
    server.delete("/session/user-2").await.ok();
    assert_eq!(server.containers().await.len(), 1, "the other session's container stays");
    server.finish().await;
}

#[tokio::test]
async fn the_environment_reaches_later_commands_and_merges_and_outlives_a_reset() {
    let server = TestServer::start().await;
    let with_env = async |message: &str, env: Value| {
        let answer = server.task_with("s", message, &json!({ "env": env })).await.ok();
        answer["response"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        with_env("bash:echo $A-$B", json!({ "A": "1", "B": "it's \"two\"\n$x" })).await,
        "done: 1-it's \"two\" $x"
    );
    assert_eq!(server.say("s", "bash:echo $A").await, "done: 1");
    assert_eq!(with_env("bash:echo $A-$C", json!({ "A": "one", "C": "3" })).await, "done: one-3");
    server.post_nothing("/session/s/reset").await.ok();
    assert_eq!(server.say("s", "bash:echo $A-$C").await, "done: one-3");
    // Another session has none of these variables.
    assert_eq!(server.say("t", "bash:echo [$A$B$C]").await, "done: []");
    server.finish().await;
}

#[tokio::test]
async fn an_idle_session_loses_its_container_and_nothing_else() {
    let server = Setup::new().env("IDLE_TIMEOUT_MS", "300").start().await;
    server.say("s", "bash:echo kept > kept.txt").await;
    wait_until_cold(&server).await;
    assert_eq!(server.containers().await, []);
    assert_eq!(server.volumes().await.len(), 2);

    let resumed = server.task("s", "recall:").await.ok();
    assert_eq!(resumed["resumed"], true);
    assert!(resumed["response"].as_str().unwrap().contains("kept.txt"), "{resumed:#}");
    assert_eq!(server.say("s", "bash:cat kept.txt").await, "done: kept");
    assert_eq!(server.get("/session/s").await.ok()["turns"], 3);
    server.finish().await;
}

#[tokio::test]
async fn a_lost_transcript_starts_the_conversation_afresh_and_says_so() {
    let server = Setup::new().env("IDLE_TIMEOUT_MS", "1500").start().await;
    server.say("s", "bash:echo kept > kept.txt").await;
    // The transcript is written after the result. The file is deleted while the CLI is not running to write it again.
    wait_until_cold(&server).await;
    lose_transcript(&server).await;

    let mut events = server.subscribe("s").await;
    let afresh = server.task("s", "recall:").await.ok();
    assert_eq!(afresh["resumed"], false);
    assert!(!afresh["response"].as_str().unwrap().contains("kept.txt"), "{afresh:#}");
    events.until("task_complete").await;
    let [reset] = events.of_kind("session_reset")[..] else { panic!("{:?}", events.kinds()) };
    assert_eq!(reset["reason"], "transcript_lost");
    assert_eq!(server.say("s", "bash:cat kept.txt").await, "done: kept", "the files stay");
    server.finish().await;
}

#[tokio::test]
async fn five_tasks_posted_at_once_run_in_the_order_in_which_they_were_taken() {
    let server = TestServer::start().await;
    let mut events = server.subscribe("s").await;
    let messages: Vec<String> = (1..=5).map(|number| format!("say:number {number}")).collect();
    let answers = join_all(messages.iter().map(|message| server.task("s", message))).await;
    for (message, answer) in messages.iter().zip(answers) {
        assert_eq!(format!("say:{}", answer.ok()["response"].as_str().unwrap()), *message, "answers were mixed up");
    }
    for _ in 0..5 {
        events.until("task_complete").await;
    }
    let of_kind = |kind| events.of_kind(kind).into_iter().map(|event| event["taskId"].clone()).collect::<Vec<_>>();
    assert_eq!(of_kind("task_queued"), of_kind("task_start"));
    assert_eq!(of_kind("task_queued"), of_kind("task_complete"));
    // Tasks run one at a time: every start but the first follows the end of the task before.
    let begins_and_ends: Vec<&str> =
        events.kinds().into_iter().filter(|kind| ["task_start", "task_complete"].contains(kind)).collect();
    assert_eq!(begins_and_ends, ["task_start", "task_complete"].repeat(5));
    server.finish().await;
}

#[tokio::test]
async fn what_a_task_asks_for_holds_for_it_alone() {
    let server = TestServer::start().await;
    let more = json!({ "model": "claude-opus-4-8", "metadata": { "ticket": 7 } });
    let answer = server.task_with("s", "model:", &more).await.ok();
    assert_eq!(answer["response"], "claude-opus-4-8");
    let task = server.get(&format!("/task/{}", answer["taskId"].as_str().unwrap())).await.ok();
    assert_eq!((&task["model"], &task["metadata"]), (&more["model"], &more["metadata"]));
    let next = server.task("s", "model:").await.ok();
    assert_eq!(next["response"], "claude-sonnet-4-6");
    let of_each = |answer: &Value| answer["cost"].as_f64().unwrap() / answer["usage"]["requests"].as_f64().unwrap();
    assert!(of_each(&answer) > of_each(&next), "the dearer model costs more: {answer:#}, then {next:#}");

    // An answer of two MiB arrives complete.
    let big = server.say("s", "big:2048").await;
    assert_eq!(big.len(), 2 << 20);

    // A caller that disconnects does not end its task.
    let mut events = server.subscribe("s").await;
    let gone = server.request(reqwest::Method::POST, "/task").json(&json!({ "sessionId": "s", "message": "slow:10" }));
    let gone = gone.timeout(std::time::Duration::from_millis(100)).send().await;
    assert!(gone.unwrap_err().is_timeout());
    assert!(events.until("task_complete").await["response"].as_str().unwrap().contains("w9"));
    server.finish().await;
}

/// Waits until the idle timeout has passed and the container is removed.
pub(crate) async fn wait_until_cold(server: &TestServer) {
    let cold = async {
        // The product has no event for this, so the session's state is polled.
        while server.get("/session/s").await.ok()["state"] != "cold" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    crate::bounds::within("the session is cold", cold).await;
}

/// Deletes the CLI's state in the session's home through a separate container.
async fn lose_transcript(server: &TestServer) {
    use engine::{ContainerExit, ContainerSpec, Engine as _, Labels, Limits, Mount, Network};

    let image = TestImage::with_entry_point("rm", "ENTRYPOINT [\"rm\", \"-r\", \"/home/agent/.claude\"]").await;
    let labels = Labels::from([("claude-runner.volume".to_owned(), "home".to_owned())]);
    let homes = server.engine.list_volumes(&labels).await.unwrap().into_iter().map(|volume| volume.name);
    let volumes = server.volumes().await;
    let home = homes.into_iter().find(|name| volumes.contains(name)).unwrap();
    let spec = ContainerSpec {
        name: format!("claude-runner-test-lose-transcript-{}", std::process::id()),
        image: image.name.clone(),
        labels: [].into(),
        entry_point: None,
        command: Vec::new(),
        environment: [].into(),
        mounts: vec![Mount::Volume { name: home, target: "/home/agent".to_owned() }],
        network: Network::None,
        limits: Limits::new(128 << 20, 1_000_000_000, 64),
        runtime: None,
        shared_directory: None,
    };
    let container = server.engine.create_container(&spec).await.unwrap();
    server.engine.start(&container).await.unwrap();
    let exit = server.engine.wait_container(&container).await.unwrap();
    server.engine.remove_container(&container).await.unwrap();
    image.remove().await;
    assert_eq!(exit, ContainerExit::Exited { code: 0, oom_killed: false });
}
