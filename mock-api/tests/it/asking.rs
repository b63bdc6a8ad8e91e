//! A scripted model for tests, and conversations to send to it.

use mock_api::scripted_model::{ModelHandle, ScriptedModel, Scripts};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// The scripted model with the built-in scripts. Dropping it fails the test if a request violated an invariant.
pub(crate) struct Model {
    pub(crate) handle: ModelHandle,
    expects_violations: bool,
}

impl Model {
    pub(crate) async fn start() -> Self {
        Self::playing(Scripts::builtin().unwrap()).await
    }

    pub(crate) async fn playing(scripts: Scripts) -> Self {
        Self { handle: ScriptedModel::new(scripts).serve(listener().await).unwrap(), expects_violations: false }
    }

    /// Starts a model for tests whose requests are wrong on purpose.
    pub(crate) async fn start_for_violations() -> Self {
        let mut model = Self::start().await;
        model.expects_violations = true;
        model
    }

    /// A request with the required headers.
    pub(crate) fn request(&self, body: &Value) -> RequestBuilder {
        self.bare_request(body).header("x-api-key", "sk-ant-scripted").header("anthropic-version", "2023-06-01")
    }

    /// A request without the headers of the Messages API.
    pub(crate) fn bare_request(&self, body: &Value) -> RequestBuilder {
        reqwest::Client::new().post(format!("{}/v1/messages?beta=true", self.handle.url())).json(body)
    }

    pub(crate) async fn send(&self, body: &Value) -> Response {
        self.request(body).send().await.unwrap()
    }

    /// The content blocks of the answer without their random ids.
    pub(crate) async fn content(&self, body: &Value) -> Value {
        let response = self.send(body).await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut answer: Value = response.json().await.unwrap();
        without_ids(&mut answer["content"]);
        answer["content"].take()
    }

    /// The text of an answer that consists of one text block.
    pub(crate) async fn text(&self, message: &str) -> String {
        let content = self.content(&ask(message)).await;
        assert_eq!(content.as_array().unwrap().len(), 1, "{content}");
        content[0]["text"].as_str().unwrap().to_owned()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if !self.expects_violations && !std::thread::panicking() {
            assert_eq!(self.handle.violations(), []);
        }
    }
}

/// A request with one message and the CLI's tools.
pub(crate) fn ask(message: &str) -> Value {
    conversation(&json!([user(message)]))
}

pub(crate) fn conversation(messages: &Value) -> Value {
    json!({ "model": "claude-sonnet-4-6", "max_tokens": 1000, "system": "You are an agent.", "messages": messages,
        "tools": [{ "name": "Bash", "input_schema": {} }, { "name": "Agent", "input_schema": {} }] })
}

/// Adds the tool through which the CLI receives structured output.
pub(crate) fn with_output_tool(mut body: Value, schema: &Value) -> Value {
    body["tools"].as_array_mut().unwrap().push(json!({ "name": "StructuredOutput", "input_schema": schema }));
    body
}

pub(crate) fn user(text: &str) -> Value {
    json!({ "role": "user", "content": [
        { "type": "text", "text": "<system-reminder>\nsay:not this\n</system-reminder>" },
        { "type": "text", "text": text }] })
}

pub(crate) fn said(text: &str) -> Value {
    json!({ "role": "assistant", "content": [{ "type": "text", "text": text }] })
}

pub(crate) fn called(id: &str) -> Value {
    json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": id, "name": "Bash", "input": {} }] })
}

pub(crate) fn returned(id: &str, text: &str) -> Value {
    json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": text }] })
}

pub(crate) fn failed(id: &str, text: &str) -> Value {
    json!({ "role": "user", "content": [
        { "type": "tool_result", "tool_use_id": id, "content": text, "is_error": true }] })
}

/// Removes the random ids everywhere in a value.
pub(crate) fn without_ids(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_ids),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(id) if name == "id" && (id.starts_with("toolu_") || id.starts_with("msg_")) => {
                        *field = json!("[id]");
                    }
                    _ => without_ids(field),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
