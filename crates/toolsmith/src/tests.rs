//! Tests of the generated tools. None of them executes or reveals anything from its input.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::write::{literal, usage_line, variables};
use super::{Chosen, Collection, from_har, from_openapi, report, write};

/// A recording of a console of the Acme API by Chromium, trimmed, with other host names.
const ACME: &str = include_str!("../../../tests/it/tools/acme.har");

fn har(entries: &[Value]) -> String {
    json!({ "log": { "version": "1.2", "entries": entries } }).to_string()
}

fn get(url: &str, headers: &[(&str, &str)], answer: &Value) -> Value {
    let headers: Vec<Value> = headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "_resourceType": "fetch",
        "request": { "method": "GET", "url": url, "headers": headers },
        "response": { "status": 200, "content": { "mimeType": "application/json", "text": answer.to_string() } },
    })
}

fn post(url: &str, body: &Value) -> Value {
    let mut entry = get(url, &[], &json!({}));
    entry["request"]["method"] = json!("POST");
    entry["request"]["postData"] = json!({ "mimeType": "application/json", "text": body.to_string() });
    entry
}

/// The usage line of every command of every tool.
fn lines(collection: &Collection) -> Vec<String> {
    let of_tool = |tool: &super::model::Tool| -> Vec<String> {
        tool.operations.iter().map(|operation| format!("{}: {}", tool.name, usage_line(operation))).collect()
    };
    collection.tools.iter().flat_map(of_tool).collect()
}

fn all_text(collection: &Collection) -> String {
    let scripts: String = collection.tools.iter().map(|tool| write(tool).text).collect();
    scripts + &report(collection, "tools")
}

#[test]
fn a_recording_of_a_browser_becomes_the_commands_of_its_api() {
    let made = from_har(ACME, &Chosen::default()).unwrap();
    let expected = [
        "acme-users: get-users [--email TEXT]",
        "acme-users: get-user USER_ID",
        "acme-users: get-user-subscription USER_ID",
        "acme-users: post-user-upgrade USER_ID [--plan TEXT]",
        "acme-users: get-user-usage USER_ID",
    ];
    assert_eq!(lines(&made), expected);
    assert_eq!(variables(&made.tools[0]), ["ACME_URL", "ACME_TOKEN"]);
    let left_out: Vec<_> = made.left_out.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let expected =
        ["1 analytics", "1 another site: cdn.elsewhere.test", "1 failed requests", "4 pages and static files"];
    assert_eq!(left_out, expected);
    let text = all_text(&made);
    for secret in ["acme-demo-token", "s3ss10n", "bob@acme.test", "u_bob", "u_alice"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(text.contains("'x-acme-client: console'"), "a harmless header stays");
    assert!(text.contains("env = [\"ACME_TOKEN\", \"ACME_URL\"]"), "{text}");
    // The user can select another host and another name.
    let hosts = vec!["cdn.elsewhere.test".to_owned()];
    let none = from_har(ACME, &Chosen { hosts, name: None }).unwrap_err().to_string();
    assert!(none.contains("--host") && none.contains("console.acme.test"), "{none}");
    let hosts = vec!["console.acme.test".to_owned()];
    let named = from_har(ACME, &Chosen { hosts, name: Some("Support Desk".to_owned()) }).unwrap();
    assert_eq!(variables(&named.tools[0]), ["SUPPORT_DESK_URL", "SUPPORT_DESK_TOKEN"]);
}

#[test]
fn ids_become_parameters_and_secrets_variables() {
    let key = "Zk3v9QpX7LmT2wRb8YcN4dHs";
    let entries = [
        get("https://api.shop.test/v2/orders/1042/lines/7?expand=items&page_token=abc", &[], &json!({})),
        get("https://api.shop.test/v2/orders/7d4f6a52-55a7-4f5b-9d36-0b8f0f6f2a11", &[], &json!({})),
        get(
            &format!("https://api.shop.test/search?q=shoes&k={key}"),
            &[("X-Api-Key", "abc"), ("Accept", "a")],
            &json!({}),
        ),
        get("https://api.shop.test/search?q=boots", &[("X-Trace", key)], &json!({})),
        get(
            "https://api.shop.test/teams",
            &[("cookie", "a=b")],
            &json!([{ "teamId": "blue-team", "n": [{ "id": "kim" }] }]),
        ),
        get("https://api.shop.test/teams/blue-team/members/kim", &[("authorization", "Basic dTpw")], &json!({})),
        post("https://api.shop.test/login", &json!({ "user": "kim", "password": "pw", "remember": true, "n": 1 })),
    ];
    let made = from_har(&har(&entries), &Chosen::default()).unwrap();
    let expected = [
        "shop-login: post-login [--n JSON] [--remember JSON] [--user TEXT]",
        "shop-orders: get-order ORDER_ID",
        "shop-orders: get-order-line ORDER_ID LINE_ID [--expand TEXT] [--page-token TEXT]",
        "shop-search: get-search [--q TEXT]",
        "shop-teams: get-teams",
        "shop-teams: get-team-member TEAM_ID MEMBER_ID",
    ];
    assert_eq!(lines(&made), expected);
    let needs: Vec<_> = made.tools.iter().map(|tool| variables(tool).join(" ")).collect();
    let expected = [
        "SHOP_URL SHOP_PASSWORD",
        "SHOP_URL",
        "SHOP_URL SHOP_API_KEY SHOP_K SHOP_TRACE",
        "SHOP_URL SHOP_BASIC_AUTH SHOP_COOKIE",
    ];
    assert_eq!(needs, expected);
    let text = all_text(&made);
    for recorded in [key, "abc", "dTpw", "blue-team", "kim", "pw\"", "shoes", "1042"] {
        assert!(!text.contains(recorded), "{recorded}");
    }
}

const PETS: &str = r##"{
    "openapi": "3.1.0", "info": { "title": "Pet Shop API", "version": "1" },
    "servers": [{ "url": "https://pets.test/v1" }],
    "security": [{ "key": [] }],
    "components": {
        "securitySchemes": { "key": { "type": "apiKey", "in": "query", "name": "api_key" },
                             "bearer": { "type": "http", "scheme": "bearer" } },
        "parameters": { "limit": { "name": "limit", "in": "query", "description": "at most" } },
        "schemas": { "New": { "allOf": [{ "$ref": "#/components/schemas/Base" }],
                              "required": ["name"], "properties": { "age": { "type": "integer" } } },
                     "Base": { "properties": { "name": { "type": "string" }, "secretCode": { "type": "string" } } } }
    },
    "paths": {
        "/pets": {
            "get": { "operationId": "listPets", "summary": "All pets", "parameters": [{ "$ref": "#/components/parameters/limit" }] },
            "post": { "security": [{ "bearer": [] }], "requestBody": { "content": {
                "application/json": { "schema": { "$ref": "#/components/schemas/New" } } } } }
        },
        "/pets/{petId}/photo": {
            "parameters": [{ "name": "petId", "in": "path", "required": true }],
            "put": { "requestBody": { "required": true, "content": { "image/png": {} } } },
            "delete": { "parameters": [{ "name": "If-Version", "in": "header", "required": true }] }
        }
    }
}"##;

/// The same document as people write it: unquoted, with numeric keys, an anchor, a merge key, and words that look like
/// booleans.
const PETS_YAML: &str = r##"# The pet shop
openapi: 3.1
info: {title: Pet Shop API, version: 1.0, x-since: 2026-11-21}
servers:
  - url: https://pets.test/v1
security: [key: []]
components:
  securitySchemes:
    key: &key {type: apiKey, in: query, name: api_key}
    bearer: {<<: *key, type: http, scheme: bearer}
  parameters:
    limit: {name: limit, in: query, description: at most}
  schemas:
    New:
      allOf:
        - $ref: '#/components/schemas/Base'
      required: [name]
      properties: {age: {type: integer}}
    Base:
      properties:
        name: {type: string, enum: [no, on, yes]}
        secretCode: {type: string}
paths:
  /pets:
    get:
      operationId: listPets
      summary: >-
        All
        pets
      parameters: [{$ref: "#/components/parameters/limit"}]
      responses: {200: {description: OK}, default: {description: Not}}
    post:
      security: [bearer: []]
      requestBody:
        content:
          application/json:
            schema: {$ref: "#/components/schemas/New"}
  /pets/{petId}/photo:
    parameters: [{name: petId, in: path, required: true}]
    put: {requestBody: {required: true, content: {image/png: {}}}}
    delete:
      parameters: [{name: If-Version, in: header, required: true}]
"##;

#[test]
fn a_document_is_the_same_in_yaml() {
    let [json, yaml] = [PETS, PETS_YAML].map(|text| from_openapi(text, &Chosen::default()).unwrap());
    assert_eq!(all_text(&yaml), all_text(&json));
}

#[test]
fn an_openapi_document_becomes_its_operations() {
    let made = from_openapi(PETS, &Chosen::default()).unwrap();
    let expected = [
        "pets-pets: list-pets [--limit TEXT]",
        "pets-pets: post-pets [--age JSON] --name TEXT",
        "pets-pets: delete-pet-photo PET_ID --if-version TEXT",
    ];
    assert_eq!(lines(&made), expected);
    assert_eq!(variables(&made.tools[0]), ["PETS_URL", "PETS_API_KEY", "PETS_SECRET_CODE", "PETS_TOKEN"]);
    assert_eq!(made.left_out["bodies other than JSON and forms"], 1);
}

#[test]
fn bad_input_is_named_with_its_place() {
    for (text, words) in [
        ("{", &["not JSON", "line 1"][..]),
        ("{}", &["log.entries", "not a HAR"]),
        (
            r#"{"log":{"entries":[{"request":{"method":"GET","url":"https://a.test/x"}},{"request":{"method":"GET"}}]}}"#,
            &["log.entries[1].request", "url"],
        ),
        (r#"{"log":{"entries":[{"request":{"method":"GET","url":"::"}}]}}"#, &["log.entries[0].request.url", "::"]),
        (
            r#"{"log":{"entries":[{"request":{"method":"G'ET","url":"https://a.test"}}]}}"#,
            &["log.entries[0].request.method"],
        ),
        (r#"{"log":{"entries":[]}}"#, &["none"]),
    ] {
        let said = from_har(text, &Chosen::default()).expect_err(text).to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
    }
    // Each line multiplies the previous one by ten.
    let names: Vec<char> = ('a'..='j').collect();
    let lines = names
        .windows(2)
        .map(|pair| format!("{}: &{} [{}]\n", pair[1], pair[1], vec![format!("*{}", pair[0]); 10].join(", ")));
    let bomb = format!("openapi: 3.0.0\na: &a [x]\n{}", lines.collect::<String>());
    for (text, words) in [
        (r#"{"swagger":"2.0"}"#, &["openapi", "3.0 or 3.1"][..]),
        (r#"{"openapi":"3.0.0","paths":{"x":{"get":{}}}}"#, &["paths[\"x\"]", "begins with `/`"]),
        (
            r##"{"openapi":"3.0.0","paths":{"/x":{"get":{"parameters":[{"$ref":"#/nowhere"}]}}}}"##,
            &["paths[\"/x\"].get", "#/nowhere"],
        ),
        (r##"{"openapi":"3.0.0","a":{"$ref":"#/a"},"paths":{"/x":{"$ref":"#/a"}}}"##, &["circle"]),
        (r#"{"openapi":"3.0.0","paths":{}}"#, &["no operation"]),
        ("{", &["not JSON", "line 1"]),
        ("openapi: 3.0.0\npaths: {\n", &["no YAML", "line 2"]),
        ("openapi: 3.0.0\npaths: {}\npaths: {}\n", &["no YAML", "line 3", "paths"]),
        ("just words", &["openapi", "3.0 or 3.1"]),
        ("", &["openapi", "3.0 or 3.1"]),
        (&bomb, &["no YAML"]),
        (&"[".repeat(100_000), &["no YAML"]),
    ] {
        let said = from_openapi(text, &Chosen::default()).expect_err(text).to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
    }
}

/// Replaces curl: records its arguments and input, and returns an answer.
const CURL: &str = "#!/bin/bash\n{ printf '%s\\n' \"$@\"; cat; cat <&3; } >>\"$SEEN\" 2>/dev/null\nprintf '{}\\n200'\n";

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
                    let json = matches!(input.place, super::model::Place::Json | super::model::Place::Whole);
                    let value = if json { "{\"a\": [1]}" } else { "$(touch pwned)'\"`touch pwned`" };
                    arguments.push(format!("--{}={value}", input.option));
                }
                let count =
                    usage_line(operation).split(" [").next().unwrap().split(" --").next().unwrap().split(' ').count();
                arguments.extend(std::iter::repeat_n("a/../$(touch pwned)".to_owned(), count - 1));
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
    let made = from_har(ACME, &Chosen::default()).unwrap();
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
    for made in [from_har(ACME, &Chosen::default()).unwrap(), from_openapi(PETS, &Chosen::default()).unwrap()] {
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
        if let Ok(made) = from_har(&har(&entries), &Chosen { name: Some(title.clone()), ..Chosen::default() }) {
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
        let made = from_openapi(&document.to_string(), &Chosen::default()).unwrap();
        Bench::new(&made).try_all(&made);
    }

    #[test]
    fn a_literal_is_what_it_was(text in "[^\0]{0,40}") {
        let said = Command::new("bash").args(["-c", &format!("printf %s {}", literal(&text))]).output().unwrap();
        prop_assert_eq!(said.stdout, text.as_bytes());
    }
}
