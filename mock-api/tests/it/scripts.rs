use std::fs;

use mock_api::scripted_model::Scripts;
use serde_json::{Value, json};

use crate::asking::{Model, ask, called, conversation, failed, returned, said, user, with_output_tool};

const QUESTION: &str = "How many API calls has Alice (alice@acme.test) left this month?";
const ALICE: &str = r#"{"id":"u_alice","name":"Alice","email":"alice@acme.test","plan":"Pro"}"#;
const USAGE: &str = r#"{"userId":"u_alice","used":742,"limit":1000,"remaining":258}"#;

async fn output(model: &Model, messages: Value) -> Value {
    let content = model.content(&with_output_tool(conversation(&messages), &json!({}))).await;
    assert_eq!(content.as_array().unwrap().len(), 1, "{content}");
    assert_eq!(content[0]["name"], "StructuredOutput");
    content[0]["input"].clone()
}

#[tokio::test]
async fn the_sample_task_is_made_of_what_the_tools_returned() {
    let model = Model::start().await;
    let first = model.content(&ask(QUESTION)).await;
    assert_eq!(first[0]["type"], "thinking");
    assert_eq!(first[2]["input"]["command"], "tools/acme-cli.sh user alice@acme.test");
    let after_user = json!([user(QUESTION), called("a"), returned("a", ALICE)]);
    let second = model.content(&conversation(&after_user)).await;
    assert_eq!(second[1]["input"]["command"], "tools/acme-cli.sh usage u_alice");
    let after_both = json!([user(QUESTION), called("a"), returned("a", ALICE), called("b"), returned("b", USAGE)]);
    let expected = json!({
        "action": "resolve",
        "response": "Alice has used 742 of 1,000 API calls this month; 258 are left.",
        "user": serde_json::from_str::<Value>(ALICE).unwrap(),
        "confidence": 1.0,
    });
    assert_eq!(output(&model, after_both.clone()).await, expected);
    // Without the tool for structured output, the same object is the text.
    let text = model.content(&conversation(&after_both)).await;
    assert_eq!(serde_json::from_str::<Value>(text[0]["text"].as_str().unwrap()).unwrap(), expected);
}

#[tokio::test]
async fn a_failed_tool_is_told_and_not_covered_up() {
    let model = Model::start().await;
    let sentence = "Exit code 1\nacme-cli: There is no user with the email alice@acme.test.";
    let expected = json!({ "action": "escalate", "confidence": 0.0,
        "response": format!("I could not look this up. The tool said: {sentence}") });
    assert_eq!(output(&model, json!([user(QUESTION), called("a"), failed("a", sentence)])).await, expected);
    // A result that is not JSON counts as failed, whatever its flag says.
    let answer = output(&model, json!([user(QUESTION), called("a"), returned("a", "garbage")])).await;
    assert_eq!(answer["response"], "I could not look this up. The tool said: garbage");
}

#[tokio::test]
async fn follow_ups_remember() {
    let model = Model::start().await;
    let mut messages =
        vec![user(QUESTION), called("a"), returned("a", ALICE), called("b"), returned("b", USAGE), said("answered")];
    messages.push(user("Which plan is she on?"));
    let answer = output(&model, json!(messages)).await;
    assert_eq!(answer["response"], "Alice is on the plan Pro; I still know it from before.");

    let asked = user("## Context\n\nx\n\n---\n\nWhich word was it?");
    let mut messages = vec![user("Remember the word red."), said("ok"), user("Please remember the word blue!")];
    assert_eq!(output(&model, json!(messages)).await["response"], "I will remember the word blue.");
    messages.extend([said("ok"), asked.clone()]);
    assert_eq!(output(&model, json!(messages)).await["response"], "The word was blue.");
    let answer = output(&model, json!([asked])).await;
    assert_eq!(answer["response"], "You have not told me a word in this conversation.");
}

#[tokio::test]
async fn a_title_request_does_not_do_what_the_quoted_message_says() {
    let model = Model::start().await;
    let body = json!({ "model": "m", "system": "Write a title for this session.", "messages": [user("status:401")] });
    assert_eq!(model.content(&body).await[0]["text"], r#"{"title":"Scripted session"}"#);
}

#[tokio::test]
async fn own_scripts_go_first_and_can_do_everything() {
    let own = r#"
        [[script]]
        name = "own"
        when.message = ["play {what}"]

        [[script.step]]
        error = { status = 529, times = 2, message = "busy", retry_after = 1, should_retry = false }
        text = "playing {{what}}"
        tools = [{ name = "Bash", input = { command = "a" } }, { name = "Read", input = { file_path = "b" } }]
        usage = { input = 7, output = 8, cache_read = 9, cache_write = 10 }

        [[script.step]]
        result = ["*good*"]
        text = "it was good"

        [[script.step]]
        text = "it was not"
    "#;
    let scripts = Scripts::parse("own.toml", own).unwrap().followed_by(Scripts::builtin().unwrap());
    let model = Model::playing(scripts).await;
    for _ in 0..2 {
        let response = model.send(&ask("play chess")).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["x-should-retry"]),
            (529, &"false".parse().unwrap())
        );
    }
    let answer: Value = model.send(&ask("play chess")).await.json().await.unwrap();
    let usage = json!({ "input_tokens": 7, "output_tokens": 8, "cache_read_input_tokens": 9,
        "cache_creation_input_tokens": 10 });
    assert_eq!(answer["usage"], usage);
    assert_eq!(
        (&answer["content"][0]["text"], &answer["content"][2]["name"]),
        (&json!("playing chess"), &json!("Read"))
    );
    for (result, expected) in [("so good", "it was good"), ("bad", "it was not")] {
        let after = conversation(&json!([user("play chess"), called("a"), returned("a", result)]));
        assert_eq!(model.content(&after).await[0]["text"], expected);
    }
}

#[test]
fn a_mistake_is_named_by_file_and_line() {
    let mistake = |text: &str| Scripts::parse("x.toml", text).unwrap_err().to_string();
    let script = |rest: &str| format!("[[script]]\nname = \"a\"\nwhen = {{}}\n{rest}");
    assert_eq!(
        mistake(&script("[[script.step]]\ntexd = \"x\"")).split(',').next(),
        Some("x.toml:5: unknown field `texd`")
    );
    assert!(mistake("[[script]\n").starts_with("x.toml:1: "));
    assert_eq!(
        mistake("[[script]]\nname = \"a\"\nwhen.message = [\"{x\"]\n[[script.step]]\ntext = \"x\""),
        "x.toml:3: the pattern `{x` has an unclosed `{`"
    );
    assert_eq!(mistake(&script("[[script.step]]\ntext = \"{{no}}\"")), "x.toml:5: nothing fills {{no}}");
    assert_eq!(
        mistake(&script("[[script.step]]\nerror = { status = 200 }")),
        "x.toml:5: the error status 200 is not between 400 and 599"
    );
    assert_eq!(mistake(&script("step = []")), "x.toml:2: the script `a` has no step");
}

#[tokio::test]
async fn the_script_of_the_readme_plays() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (script, _) = rest.split_once("```").unwrap();
    let model = Model::playing(Scripts::parse("README.md", script).unwrap()).await;
    let content = model.content(&ask(QUESTION)).await;
    assert_eq!(content[2]["input"]["command"], "tools/acme-cli.sh user alice@acme.test");
    let messages = json!([user(QUESTION), called("a"), returned("a", ALICE)]);
    assert_eq!(output(&model, messages).await["response"], "It is Alice.");
}

#[test]
fn a_directory_is_read_by_name_and_has_to_have_scripts() {
    let directory = tempfile::tempdir().unwrap();
    let error = || Scripts::from_directory(directory.path()).unwrap_err().to_string();
    assert!(error().starts_with("there is no *.toml file in "));
    fs::write(directory.path().join("b.toml"), "broken").unwrap();
    assert!(error().contains("b.toml:1: "), "{}", error());
    let absent = Scripts::from_directory(&directory.path().join("absent")).unwrap_err();
    assert!(absent.to_string().starts_with("could not read the scripts in "));
}
