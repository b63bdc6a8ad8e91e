//! Runs the generated tools with a curl that sends nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use proptest::prelude::*;
use serde_json::json;

use super::{ACME, PETS, get, har, openapi, post};
use crate::help::usage_line;
use crate::model::Place;
use crate::write::{literal, variables};
use crate::{Chosen, Collection, from_har, report, write};

/// Replaces curl: records its arguments and input, and returns an answer.
const CURL: &str = r#"#!/bin/bash
{ printf '%s\n' "$@"; cat <&4; cat <&3; } >>"$SEEN" 2>/dev/null
while (($# > 0)); do
    [[ $1 != --output ]] || printf '{}' >"$2"
    shift
done
printf '200 '
"#;

/// A directory with the tools, the only programs they need, and a curl that sends nothing.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new(collection: &Collection) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = collection.tools.iter().map(write).map(|file| (file.name, file.text));
        for (name, text) in files.chain([("curl".to_owned(), CURL.to_owned())]) {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        Bench(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn bash(&self, arguments: &[&str], variables: &[String]) -> Output {
        let mut command = Command::new("bash");
        command.args(arguments).current_dir(self.path()).env("SEEN", self.path().join("seen"));
        command.env("PATH", format!("{}:{}", self.path().display(), std::env::var("PATH").unwrap()));
        for variable in variables {
            let value =
                if variable.ends_with("_URL") { "http://api.test/base/" } else { "the \"$(touch pwned)` value" };
            command.env(variable, value);
        }
        command.output().unwrap()
    }

    /// Runs every command of a collection with arguments that would do harm if the shell expanded them.
    fn try_all(&self, collection: &Collection) {
        for tool in &collection.tools {
            let file = format!("{}.sh", tool.name);
            let checked = self.bash(&["-n", &file], &[]);
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
            assert!(self.bash(&[&file, "help"], &[]).status.success());
            for operation in &tool.operations {
                let mut arguments = vec![file.clone(), operation.name.clone()];
                for input in &operation.inputs {
                    let value = match input.place {
                        Place::Json | Place::NestedJson | Place::JsonPart | Place::Whole => "{\"a\": [1]}",
                        Place::FilePart | Place::RawFile => &file,
                        _ => "$(touch pwned)'\"`touch pwned`",
                    };
                    arguments.push(format!("--{}={value}", input.option));
                }
                let count =
                    usage_line(operation).split(" [").next().unwrap().split(" --").next().unwrap().split(' ').count();
                arguments.extend(std::iter::repeat_n("a/$(touch pwned)".to_owned(), count - 1));
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let ran = self.bash(&arguments, &variables(tool));
                assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
            }
        }
        let mut names: Vec<_> =
            std::fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| name != "curl" && name != "seen" && !name.to_string_lossy().ends_with(".sh"));
        assert_eq!(names, [] as [&str; 0], "something was run");
    }

    fn seen(&self) -> String {
        std::fs::read_to_string(self.path().join("seen")).unwrap()
    }
}

#[test]
fn what_is_asked_is_what_was_said() {
    let made = from_har(ACME.as_bytes(), &Chosen::default()).unwrap();
    let bench = Bench::new(&made);
    bench.try_all(&made);
    let (file, variables) = ("acme-users.sh", variables(&made.tools[0]));
    std::fs::remove_file(bench.path().join("seen")).unwrap();
    let upgraded = bench.bash(&[file, "post-user-upgrade", "u a/b", "--plan", "Pro \"x\""], &variables);
    assert!(upgraded.status.success());
    let seen = bench.seen();
    assert!(seen.contains("url = \"http://api.test/base/users/u%20a%2Fb/upgrade\"\n"), "{seen}");
    assert!(seen.contains("header = \"authorization: Bearer the \\\"$(touch pwned)` value\"\n"), "{seen}");
    assert!(seen.contains("{\"plan\":\"Pro \\\"x\\\"\"}"), "{seen}");
    let (arguments, _) = seen.split_once("url =").unwrap();
    assert!(!arguments.contains("the \""), "the secret is an argument of curl: {arguments}");
    for (arguments, words) in [
        (&["get-user"][..], "takes 1 values"),
        (&["get-user", ".."], "cannot be a part of the path"),
        (&["get-user", "x", "--plan", "y"], "no option --plan"),
        (&["get-users", "--email"], "needs a value"),
        (&["nonsense"], "no command 'nonsense'"),
    ] {
        let ran = bench.bash(&[&[file][..], arguments].concat(), &variables);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.code() == Some(2) && said.contains(words), "{arguments:?}: {said}");
    }
    let ran = bench.bash(&[file, "get-users"], &variables[..1]);
    assert!(String::from_utf8_lossy(&ran.stderr).contains("ACME_TOKEN is not set"));
}

#[test]
fn shellcheck_finds_nothing_in_them() {
    let found = Command::new("shellcheck").arg("--version").output();
    if found.is_err() {
        eprintln!("skipped: shellcheck is not installed");
        return;
    }
    for made in [from_har(ACME.as_bytes(), &Chosen::default()).unwrap(), openapi(PETS).unwrap()] {
        let bench = Bench::new(&made);
        for tool in &made.tools {
            let ran =
                Command::new("shellcheck").arg(format!("{}.sh", tool.name)).current_dir(bench.path()).output().unwrap();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
        }
    }
}

/// Text that would be executed if it was not quoted.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = [
        "$(touch pwned)",
        "`touch pwned`",
        "'; touch pwned; '",
        "\"; touch pwned; \"",
        "\n touch pwned\n",
        "\nHELP\ntouch pwned\n",
        "${IFS}",
        "a",
        "user",
        "\\",
        "*",
        "!",
        ")",
        ";;",
        "#",
        "%0a",
        "@x",
        "é",
        "\u{202e}",
        "\0",
        "|",
        "]}",
        "--",
        "' 'PROGRAM_NAME'",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 1..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// Tools never execute text from a recording or a document.
    #[test]
    fn nothing_of_what_is_read_is_run(texts in prop::collection::vec(hostile(), 8)) {
        let [path, query, field, header, value, summary, id, title] = texts.as_slice() else { unreachable!() };
        let url = format!("https://api.evil.test/items/{path}?{query}=1");
        let entries = [
            get(&url, &[(header, value), ("x-plain", value), ("cookie", value)], &json!({ "id": id })),
            post("https://api.evil.test/items", &json!({ field: value, query: 1, "password": value })),
        ];
        if let Ok(made) = from_har(har(&entries).as_bytes(), &Chosen { name: Some(title.clone()), ..Chosen::default() }) {
            Bench::new(&made).try_all(&made);
            let told = report(&made, "tools");
            let invisible = told.contains(['\0', '\u{202e}']);
            prop_assert!(!invisible, "{}", told);
        }
        let document = json!({
            "openapi": "3.0.0", "info": { "title": title }, "servers": [{ "url": format!("https://{id}.test") }],
            "components": { "securitySchemes": { "a": { "type": "apiKey", "in": "header", "name": header } } },
            "security": [{ "a": [] }],
            "paths": { format!("/things/{}", path.replace(['{', '}', '?', '#', '\n', '\0'], "")): { "post": {
                "operationId": id, "summary": summary,
                "parameters": [{ "name": query, "in": "query", "description": summary }, { "name": header, "in": "header" }],
                "requestBody": { "content": { "application/json": { "schema": { "properties": { field: { "type": "string" } } } } } },
            } } },
        });
        let made = openapi(&document.to_string()).unwrap();
        Bench::new(&made).try_all(&made);
    }

    #[test]
    fn a_literal_is_what_it_was(text in "[^\0]{0,40}") {
        let said = Command::new("bash").args(["-c", &format!("printf %s {}", literal(&text))]).output().unwrap();
        prop_assert_eq!(said.stdout, text.as_bytes());
    }
}
