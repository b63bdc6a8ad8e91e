//! Tests of the generated tools. None of them executes or reveals anything from its input.

mod corpus;
mod run;
mod server;

use std::ops::Add as _;

use serde_json::{Value, json};

use super::help::usage_line;
use super::write::variables;
use super::{Chosen, Collection, InputError, from_har, from_openapi, report, write};

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

/// Reads a document that has no other files.
fn openapi(text: &str) -> Result<Collection, InputError> {
    from_openapi(text.as_bytes(), &Chosen::default(), &mut |name| Err(format!("there is no {name}")))
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
    let made = from_har(ACME.as_bytes(), &Chosen::default()).unwrap();
    let expected = [
        "acme-users: get-users [--email TEXT]",
        "acme-users: get-user USER_ID",
        "acme-users: get-user-subscription USER_ID",
        "acme-users: post-user-upgrade USER_ID [--plan TEXT]",
        "acme-users: get-user-usage USER_ID",
    ];
    assert_eq!(lines(&made), expected);
    assert_eq!(variables(&made.tools[0]), ["ACME_URL", "ACME_TOKEN"]);
    let left_out: Vec<_> =
        made.left_out.iter().map(|(reason, omitted)| format!("{} {reason}", omitted.count)).collect();
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
    let none = from_har(ACME.as_bytes(), &Chosen { hosts, name: None }).unwrap_err().to_string();
    assert!(none.contains("--host") && none.contains("console.acme.test"), "{none}");
    let hosts = vec!["console.acme.test".to_owned()];
    let named = from_har(ACME.as_bytes(), &Chosen { hosts, name: Some("Support Desk".to_owned()) }).unwrap();
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
            &json!([{ "teamId": "blue-team", "members": [{ "id": "kim" }] }]),
        ),
        get("https://api.shop.test/teams/blue-team/members/kim", &[("authorization", "Basic dTpw")], &json!({})),
        post("https://api.shop.test/login", &json!({ "user": "kim", "password": "pw", "remember": true, "n": 1 })),
    ];
    let made = from_har(har(&entries).as_bytes(), &Chosen::default()).unwrap();
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
    let [json, yaml] = [PETS, PETS_YAML].map(|text| openapi(text).unwrap());
    assert_eq!(all_text(&yaml), all_text(&json));
}

#[test]
fn an_openapi_document_becomes_its_operations() {
    let made = openapi(PETS).unwrap();
    let expected = [
        "pets-pets: list-pets [--limit TEXT]",
        "pets-pets: post-pets [--age JSON] --name TEXT",
        "pets-pets: put-pet-photo PET_ID [--body TEXT] [--body-file FILE]",
        "pets-pets: delete-pet-photo PET_ID --if-version TEXT",
    ];
    assert_eq!(lines(&made), expected);
    assert_eq!(variables(&made.tools[0]), ["PETS_URL", "PETS_API_KEY", "PETS_SECRET_CODE", "PETS_TOKEN"]);
    assert_eq!(made.left_out.iter().count(), 0);
}

#[test]
fn the_agent_chooses_the_session_of_a_documented_call() {
    let document = r#"{"openapi":"3.0.0","paths":{"/task":{"post":{
        "parameters":[{"name":"session_id","in":"query","schema":{"type":"string"}},
                      {"name":"sessionId","in":"cookie","schema":{"type":"string"}}],
        "requestBody":{"content":{"application/json":{"schema":{"properties":{
            "sessionId":{"type":"string"}, "signature":{"type":"string"}, "password":{"type":"string"},
            "parentSessionId":{"type":"string","format":"password"}}}}}}}}}}"#;
    let made = openapi(document).unwrap();
    assert_eq!(lines(&made), ["api-task: post-task [--session-id TEXT] [--session-id-2 TEXT] [--signature TEXT]"]);
    assert_eq!(variables(&made.tools[0]), ["API_URL", "API_PARENT_SESSION_ID", "API_PASSWORD", "API_SESSION_ID"]);
    // A recording has one person's session.
    let entries = [post("https://api.a.test/task", &json!({ "sessionId": "s-1", "signature": "abc" }))];
    let made = from_har(har(&entries).as_bytes(), &Chosen::default()).unwrap();
    assert_eq!(variables(&made.tools[0]), ["A_URL", "A_SESSION_ID", "A_SIGNATURE"]);
}

#[test]
fn a_number_in_a_name_makes_an_id_only_if_it_varies() {
    let lines_of = |paths: &[&str], answer: &Value| {
        let entries: Vec<Value> =
            paths.iter().map(|path| get(&format!("https://api.a.test/{path}"), &[], answer)).collect();
        lines(&from_har(har(&entries).as_bytes(), &Chosen::default()).unwrap())
    };
    for path in [
        "charts/top_10",
        "stats/last_30",
        "spec/version_2",
        "login/oauth_2",
        "text/UTF-8",
        "dates/ISO-8601",
        "news/COVID-19",
        "hash/SHA-256",
        "charts/top_10.json",
        "wizard/STEP-2",
    ] {
        let found = lines_of(&[path], &json!({}));
        assert!(found.len() == 1 && !found[0].contains("_ID"), "{path}: {found:?}");
    }
    for (paths, answer, name) in [
        (&["people/usr_12", "people/usr_13"][..], json!({}), "PERSON_ID"),
        (&["people/usr_12.json", "people/usr_13.json"], json!({}), "PERSON_ID"),
        (&["people/usr_12"], json!({ "id": "usr_12" }), "PERSON_ID"),
        (&["users/user_12"], json!({}), "USER_ID"),
        (&["issues/PROJ-17"], json!({}), "ISSUE_ID"),
        (&["sets/UTF-8"], json!({ "id": "UTF-8" }), "SET_ID"),
    ] {
        let found = lines_of(paths, &answer);
        assert!(found.len() == 1 && found[0].contains(name), "{paths:?}: {found:?}");
    }
}

#[test]
fn the_first_requests_of_a_huge_recording_are_read() {
    let good = r#"{"request":{"method":"GET","url":"https://a.test/x"},"response":{"status":200}}"#;
    let late = good.replace("/x", "/y");
    let text = format!(r#"{{"log":{{"entries":[{good}{},{late}]}}}}"#, ",{}".repeat(50_000));
    let made = from_har(text.as_bytes(), &Chosen::default()).unwrap();
    assert_eq!(lines(&made), ["a-x: get-x"]);
    let said = report(&made, "tools");
    assert!(said.contains("The recording has 50002 requests, and only the first 50000 were read."), "{said}");
}

#[test]
fn one_odd_entry_is_left_out_and_named() {
    let good = r#"{"request":{"method":"GET","url":"https://a.test/x"},"response":{"status":200}}"#;
    for (odd, says) in [
        (r#"{"request":{"method":"GET"}}"#, "1: requests without a URL (log.entries[1].request.url)"),
        (r#"{"request":{"method":"GET","url":""}}"#, "requests without a URL"),
        (r#"{"request":{"method":"GET","url":null}}"#, "requests without a URL"),
        (r#"{"request":{"method":"GET","url":"::"}}"#, "a text that is not a URL (log.entries[1].request.url)"),
        (
            r#"{"request":{"method":"G'ET","url":"https://a.test"}}"#,
            "without an HTTP method (log.entries[1].request.method)",
        ),
        (r#"{"request":{"method":null,"url":"https://a.test"}}"#, "without an HTTP method"),
        (r#"{"request":null}"#, "entries without a request (log.entries[1].request)"),
        ("null", "entries without a request"),
        ("7", "entries without a request"),
        (&"[".repeat(500).add(&"]".repeat(500)), "not JSON"),
    ] {
        let made =
            from_har(format!(r#"{{"log":{{"entries":[{good},{odd}]}}}}"#).as_bytes(), &Chosen::default()).unwrap();
        let said = report(&made, "tools");
        assert!(lines(&made) == ["a-x: get-x"] && said.contains(says), "{odd}: {said}");
    }
    let get = r#""get":{}"#;
    for (odd, says) in [
        (r#""/y{":{"get":{}}"#, r#"paths with a `{` that is not closed (paths["/y{"])"#),
        (r#""/y":null"#, r#"(paths["/y"]: it must be an object)"#),
        (
            r#""/y":{"head":{},"options":{},"trace":{}}"#,
            r#"left out 3: operations of HEAD, OPTIONS or TRACE (paths["/y"].head, paths["/y"].options, paths["/y"].trace)"#,
        ),
        (r#""/y":{"get":true}"#, r#"operations that are not an object (paths["/y"].get)"#),
        (r##""/y":{"$ref":"#/nowhere"}"##, r##"leads nowhere (paths["/y"]: $ref "#/nowhere")"##),
        (r##""/y":{"$ref":"#/paths/~1y"}"##, "is a cycle"),
        (
            r#""/y":{"$ref":"other.yaml#/y"}"#,
            "other.yaml, to which a $ref leads, could not be read: there is no other.yaml",
        ),
        (r#""/y":{"$ref":"https://a.test/y.json"}"#, r#"$ref "https://a.test/y.json""#),
        (
            r##""/y":{"post":{"requestBody":{"$ref":"#/nowhere"}}}"##,
            r##"(paths["/y"].post.requestBody: $ref "#/nowhere")"##,
        ),
    ] {
        let made = openapi(&format!(r#"{{"openapi":"3.0.0","paths":{{"/x":{{{get}}},{odd}}}}}"#)).unwrap();
        let said = report(&made, "tools");
        assert!(lines(&made) == ["api-x: get-x"] && said.contains(says), "{odd}: {said}");
    }
    let odd = r##"{"openapi":"3.0.0","paths":{"/x":{"get":{"parameters":[null,{"name":"a"},{"$ref":"#/no"},{"name":"q","in":"query"}]}}}}"##;
    let made = openapi(odd).unwrap();
    let said = report(&made, "tools");
    assert_eq!(lines(&made), ["api-x: get-x [--q TEXT]"]);
    assert!(
        said.contains("left out 2: parameters without") && said.contains(r##"parameters[2]: $ref "#/no""##),
        "{said}"
    );
}

#[test]
fn unusable_input_is_named_with_its_place() {
    for (text, words) in [
        ("{", &["not JSON", "line 1"][..]),
        ("{}", &["log.entries", "not a HAR"]),
        (r#"{"log":{"entries":[]}}"#, &["none"]),
        (r#"{"log":{"entries":[{"request":{"method":"GET"}}]}}"#, &["none of 1", "log.entries[0].request.url"]),
        (r#"{"openapi":"3.0.0"}"#, &["OpenAPI", "from-openapi"]),
        (r#"{"info":{},"item":[]}"#, &["Postman"]),
        ("PK\u{3}\u{4}", &["ZIP"]),
    ] {
        let said = from_har(text.as_bytes(), &Chosen::default()).expect_err(text).to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
    }
    // Each line multiplies the previous one by ten.
    let names: Vec<char> = ('a'..='j').collect();
    let lines = names
        .windows(2)
        .map(|pair| format!("{}: &{} [{}]\n", pair[1], pair[1], vec![format!("*{}", pair[0]); 10].join(", ")));
    let bomb = format!("openapi: 3.0.0\na: &a [x]\n{}", lines.collect::<String>());
    for (text, words) in [
        (r#"{"swagger":"1.2"}"#, &["openapi", "3.0 or 3.1", "2.0"][..]),
        (r#"{"log":{"entries":[]}}"#, &["openapi", "3.0 or 3.1", "from-har"]),
        (r#"{"openapi":"3.0.0"}"#, &["paths", "object"]),
        (r##"{"openapi":"3.0.0","a":{"$ref":"#/a"},"paths":{"/x":{"$ref":"#/a"}}}"##, &["no operation", "cycle"]),
        (r#"{"openapi":"3.0.0","paths":{}}"#, &["no operation"]),
        ("{", &["not JSON", "line 1"]),
        ("openapi: 3.0.0\npaths: {\n", &["not YAML", "line 2"]),
        ("just words", &["openapi", "3.0 or 3.1"]),
        ("", &["openapi", "3.0 or 3.1"]),
        (&bomb, &["not YAML"]),
        (&"[".repeat(100_000), &["not YAML"]),
    ] {
        let said = openapi(text).expect_err(text).to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
    }
}
