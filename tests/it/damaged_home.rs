//! Damage in the home of an agent: repaired at the start of the sandbox, and never paid for by a task.

use serde_json::json;

use crate::server::Setup;

/// Each command damages the home. The second value is a part of the message, the third is true if the conversation survives.
const DAMAGES: &[(&str, &str, bool)] = &[
    ("head -c 20 ~/.claude.json > ~/x; mv ~/x ~/.claude.json", ".claude.json was not valid JSON", true),
    (": > ~/.claude.json; mv ~/.claude/backups ~/gone", ".claude.json was not valid JSON", true),
    ("head -c 200 /dev/urandom > ~/.claude.json", ".claude.json was not valid JSON", true),
    ("rm ~/.claude.json; mkfifo ~/.claude.json", ".claude.json was not a file", true),
    ("chmod 000 ~/.claude.json", ".claude.json was not accessible", true),
    ("chmod 000 ~/.claude", ".claude was not accessible", true),
    ("chmod 000 ~/.claude/projects/*/*.jsonl", ".jsonl was not accessible", true),
    ("printf '{\"type\":' >> ~/.claude/projects/*/*.jsonl", "had lines that are not JSON", true),
    ("head -c 900 /dev/urandom >> ~/.claude/projects/*/*.jsonl", "had lines that are not JSON", true),
    ("head -c 900 /dev/urandom > ~/.claude/projects/*/*.jsonl", "had no line of JSON", false),
    ("mv ~/.claude/projects ~/gone; echo x > ~/.claude/projects", "projects was not a directory", false),
];

#[tokio::test]
async fn a_damaged_home_is_repaired_and_the_repair_is_an_event() {
    let mut setup = Setup::new();
    for (number, (damage, ..)) in DAMAGES.iter().enumerate() {
        // The CLI stops first, as it would in a crash of the machine, so it cannot write over the damage.
        let script = format!("#!/bin/bash\ncli=$1\nkill -STOP $cli\n{damage}\nkill -KILL $cli\n");
        setup = setup.template_file(&format!("damage-{number}"), script, 0o755);
    }
    let server = setup.start().await;
    for (number, (damage, message, survives)) in DAMAGES.iter().enumerate() {
        let session = format!("s{number}");
        server.say(&session, "say:remember this").await;
        let mut events = server.subscribe(&session).await;
        let work = format!("bash:/workspace/damage-{number} $PPID; sleep 60");
        let problem = server.task(&session, &work).await.problem(502, "exit_code");
        assert!(problem["error"].as_str().unwrap().contains("signal 9"), "{damage}: {problem:#}");
        let answer = server.task(&session, "recall:").await.ok();
        let remembers = answer["response"].as_str().unwrap().contains("remember this");
        assert_eq!(remembers, *survives, "{damage}: {answer:#}");
        let warning = events.until("warning").await;
        assert_eq!(warning["code"], json!("home_repaired"), "{damage}: {warning:#}");
        assert!(warning["message"].as_str().unwrap().contains(message), "{damage}: {warning:#}");
        assert!(server.log().contains("repaired the home of an agent"), "{}", server.log());
        server.delete(&format!("/session/{session}")).await.ok();
    }
    server.finish().await;
}

#[tokio::test]
async fn a_lone_surrogate_is_no_damage() {
    // JavaScript's strings may end within a character, for example where a tool's output was cut. The CLI writes and reads them.
    let script = "#!/bin/bash\ncli=$1\nkill -STOP $cli\nsed -i 's/remember this/remember this\\\\ud83d/' ~/.claude/projects/*/*.jsonl\n\
                  grep -q 'this.ud83d' ~/.claude/projects/*/*.jsonl && kill -KILL $cli\n";
    let server = Setup::new().template_file("cut", script, 0o755).start().await;
    server.say("s", "say:remember this").await;
    server.task("s", "bash:/workspace/cut $PPID; sleep 60").await.problem(502, "exit_code");
    let answer = server.task("s", "recall:").await.ok();
    assert!(answer["response"].as_str().unwrap().contains("remember this"), "{answer:#}");
    assert!(!server.log().contains("repaired the home of an agent"), "{}", server.log());
    server.finish().await;
}
