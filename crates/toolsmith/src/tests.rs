//! Tests of the generated tools. None of them executes or reveals anything from its input.

mod run;

use serde_json::{Value, json};

use super::write::{usage_line, variables};
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
        (r#"{"openapi":"3.0.0","paths":{"x":{"get":{}}}}"#, &["paths[\"x\"]", "start with `/`"]),
        (
            r##"{"openapi":"3.0.0","paths":{"/x":{"get":{"parameters":[{"$ref":"#/nowhere"}]}}}}"##,
            &["paths[\"/x\"].get", "#/nowhere"],
        ),
        (r##"{"openapi":"3.0.0","a":{"$ref":"#/a"},"paths":{"/x":{"$ref":"#/a"}}}"##, &["cycle"]),
        (r#"{"openapi":"3.0.0","paths":{}}"#, &["no operation"]),
        ("{", &["not JSON", "line 1"]),
        ("openapi: 3.0.0\npaths: {\n", &["not YAML", "line 2"]),
        ("openapi: 3.0.0\npaths: {}\npaths: {}\n", &["not YAML", "line 3", "paths"]),
        ("just words", &["openapi", "3.0 or 3.1"]),
        ("", &["openapi", "3.0 or 3.1"]),
        (&bomb, &["not YAML"]),
        (&"[".repeat(100_000), &["not YAML"]),
    ] {
        let said = from_openapi(text, &Chosen::default()).expect_err(text).to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{text}: {said}");
    }
}
