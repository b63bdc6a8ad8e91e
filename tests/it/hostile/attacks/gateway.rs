//! Attacks on the model API through the gateway, which has the credential.

use super::Attack;
use crate::hostile::lab::ATTACKERS_KEY;

const OWN: &str = "http://127.0.0.1:8787";

pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for header in [
        "x-api-key: KEY",
        "authorization: Bearer KEY",
        "proxy-authorization: Bearer KEY",
        "cookie: sessionKey=KEY",
        "x_api_key: KEY",
        "api-key: KEY",
        "x-goog-api-key: KEY",
        "x-anthropic-auth: KEY",
        "anthropic-beta: KEY",
        "forwarded: for=KEY",
    ] {
        let header = header.replace("KEY", ATTACKERS_KEY);
        attacks.push(Attack::new(
            "the attacker's own key",
            header.split(':').next().unwrap_or_default(),
            format!("model -H '{header}' {OWN}/v1/messages -d \"$ask\""),
        ));
    }
    let key = ATTACKERS_KEY;
    attacks.push(Attack::new(
        "the attacker's own key",
        "past our credential, by CONNECT to the model API",
        format!(
            "curl -s --max-time 3 -p -x {OWN} -H 'x-api-key: {key}' http://model.open.test:443/v1/messages -d \"$ask\"; \
             curl -s --max-time 3 -x {OWN} -H 'x-api-key: {key}' http://model.open.test/v1/messages -d \"$ask\"; \
             curl -s --max-time 3 -x {OWN} -H 'x-api-key: {key}' http://MODEL.open.test.:8080/v1/messages -d \"$ask\""
        ),
    ));
    attacks.push(Attack::new(
        "the attacker's own key",
        "in the URL",
        format!("model '{OWN}/v1/messages?key={key}' -d \"$ask\"; model 'http://{key}@127.0.0.1:8787/v1/messages' -d \"$ask\""),
    ));
    for path in [
        "/v1/files",
        "/v1/models",
        "/v1/messages/batches",
        "/v1/organizations/users",
        "//v1/files",
        "/v1/messages/../files",
        "/v1/messages/%2e%2e/files",
        "/v1/messages/..%2ffiles",
        "/v1/%66iles",
        "/v1/messages%00/files",
        "/v1/messages;/files",
        "/v1/messages?beta=true&x=/v1/files",
        "/v1/messages%3fbeta=true",
        "/__requests",
    ] {
        attacks.push(Attack::new(
            "path of the model API",
            path,
            format!("model --path-as-is '{OWN}{path}'; model --path-as-is '{OWN}{path}' -d \"$ask\"; model --path-as-is -X DELETE '{OWN}{path}'"),
        ));
    }
    attacks.push(Attack::new(
        "path of the model API",
        "a second request behind two lengths",
        "raw 'POST /v1/messages HTTP/1.1\\r\\nHost: 127.0.0.1:8787\\r\\nContent-Length: 6\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET /v1/files HTTP/1.1\\r\\nHost: 127.0.0.1:8787\\r\\n\\r\\n'",
    ));
    let body = |name: &str, body: &str| {
        let script = format!("model {OWN}/v1/messages -d '{body}' -H 'x-attempt: fetch'");
        Attack::new("fetch by the model API", name, script)
    };
    let with = |content: &str| {
        format!(
            r#"{{"model":"claude-sonnet-4-6","max_tokens":9,"metadata":{{"user_id":"{key}"}},"messages":[{{"role":"user","content":[{content}]}}]}}"#
        )
    };
    attacks
        .push(body("an image by URL", &with(r#"{"type":"image","source":{"type":"url","url":"http://10.0.0.5/"}}"#)));
    attacks.push(body("a document by URL", &with(r#"{"type":"document","source":{"\u0075rl":"http://10.0.0.5/"}}"#)));
    attacks.push(body("a stored file", &with(r#"{"type":"image","source":{"type":"file","file_id":"file_1"}}"#)));
    let connector = with(r#"{"type":"text","text":"hi"}"#).replacen(
        '{',
        r#"{"mcp_servers":[{"type":"url","url":"https://10.0.0.5/","name":"x"}],"#,
        1,
    );
    attacks.push(body("an MCP connector", &connector));
    let tool = with(r#"{"type":"text","text":"hi"}"#).replacen('{', r#"{"tools":[{"type":"web_fetch_20250910"}],"#, 1);
    attacks.push(body("the fetch tool", &tool));
    attacks
}
