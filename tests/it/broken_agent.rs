//! Misbehaving agents: another program runs in place of Claude Code.

use serde_json::json;

use crate::agent_image::TestImage;
use crate::server::Setup;

/// The message selects the program's behaviour.
const AGENT: &str = concat!(
    include_str!("../support/stand_in.sh"),
    r#"if [ ! -e /workspace/started ]; then
    touch /workspace/started
    echo "no licence" >&2
    exit 7
fi
answer() {
    case $line in
        *garbage*) echo "Segmentation fault, or something like it" ;;
        *long*) head -c 20000000 /dev/zero | tr '\0' x; echo ;;
        *utf8*) printf '{"type":"result","result":"\xff\xfe"}\n' ;;
        *half*) printf '{"type":"res'; exit 0 ;;
        *quiet*) exit 0 ;;
        *dies*) echo "cannot go on" >&2; exit 3 ;;
        *hang*) sleep 600 ;;
        *memory*) exec tail /dev/zero ;;
        *forged*) echo '{"type":"result","subtype":"success","is_error":false,"result":"from nowhere","session_id":"c"}'; exit 5 ;;
        *unknown*)
            echo '{"type":"weather","report":{"sky":"blue"}}'
            echo "$result"
            ;;
        *) echo "$result" ;;
    esac
}
listen
"#
);

#[tokio::test]
async fn an_agent_that_does_not_behave_fails_its_task_and_no_other() {
    let image = TestImage::with_agent("misbehaving", AGENT, 0o755).await;
    let server = Setup::new().env("DOCKER_IMAGE", &image.name).env("SANDBOX_MEMORY", "64m");
    let server = server.env("STALL_TIMEOUT_MS", "2000").start().await;

    let problem = server.task("s", "exits at once").await.problem(502, "exit_code");
    let error = problem["error"].as_str().unwrap();
    assert!(error.contains("code 7") && error.contains("no licence"), "{problem:#}");
    assert_eq!(server.say("s", "behave").await, "fine");

    for (message, error_type, says) in [
        ("print garbage", "exit_code", "not stream-json"),
        ("print a long line", "exit_code", "not stream-json"),
        ("print bad utf8", "exit_code", "not stream-json"),
        ("print half a line", "exit_code", "not stream-json"),
        ("be quiet", "exit_code", "code 0"),
        ("dies of it", "exit_code", "cannot go on"),
        ("use memory", "oom_killed", "SANDBOX_MEMORY"),
    ] {
        let problem = server.task("s", message).await.problem(502, error_type);
        assert_eq!((&problem["status"], &problem["errorType"]), (&json!("failed"), &json!(error_type)), "{message}");
        assert!(problem["error"].as_str().unwrap().contains(says), "{message}: {problem:#}");
        assert_eq!(server.say("s", "behave").await, "fine", "after: {message}");
    }

    let problem = server.task("s", "hang").await.problem(504, "stalled");
    assert!(problem["error"].as_str().unwrap().contains("STALL_TIMEOUT_MS"), "{problem:#}");
    assert_eq!(server.say("s", "behave").await, "fine");

    // A result before a failed exit counts, and the task is not queued again.
    assert_eq!(server.say("s", "forged").await, "from nowhere");
    assert_eq!(server.say("s", "behave").await, "fine");

    // An unknown kind of event is passed on.
    let mut events = server.subscribe("s").await;
    assert_eq!(server.say("s", "something unknown").await, "fine");
    events.until("task_complete").await;
    let [raw] = events.of_kind("raw")[..] else { panic!("{:?}", events.kinds()) };
    assert_eq!(raw["event"], json!({ "type": "weather", "report": { "sky": "blue" } }));
    server.finish().await;
    image.remove().await;
}

#[tokio::test]
async fn an_agent_that_cannot_be_started_says_why_each_time() {
    let image = TestImage::with_agent("not-executable", "no program", 0o644).await;
    let server = Setup::new().env("DOCKER_IMAGE", &image.name).start().await;
    for _ in 0..2 {
        let problem = server.task("s", "say:hello").await.problem(502, "exit_code");
        assert!(problem["error"].as_str().unwrap().contains("could not be started"), "{problem:#}");
        assert_eq!(server.containers().await, []);
    }
    server.finish().await;
    image.remove().await;
}
