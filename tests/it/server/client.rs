//! Calls the server like its callers do.

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::TestServer;
use crate::bounds::{BOUND, within};
use crate::subscriber::Subscriber;

/// The server's answer. The body is null if it is not JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// Returns the body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "the answer was {:#}", self.body);
        self.body
    }

    /// Returns the body of a successful answer.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        self.expect(200)
    }

    /// Returns the body of a well-formed problem with this status and code.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Value {
        let kind = self.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!(kind, "application/problem+json", "the answer was {} {:#}", self.status, self.body);
        let retry_after = self.headers.contains_key("retry-after");
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body:#}");
        assert!(body["error"].as_str().is_some_and(|error| !error.is_empty()), "{body:#}");
        assert_eq!(body["retryable"], json!(retry_after), "{body:#}");
        body
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {self:?}")).to_str().unwrap()
    }
}

/// Returns the JSON that the last command of an agent printed.
#[track_caller]
pub(crate) fn printed(answer: &Value) -> Value {
    let text = answer["response"].as_str().unwrap_or_else(|| panic!("no text: {answer:#}"));
    let json = text.strip_prefix("done: ").unwrap_or(text);
    let first = serde_json::Deserializer::from_str(json).into_iter().next();
    first.and_then(Result::ok).unwrap_or_else(|| panic!("no JSON: {answer:#}"))
}

impl TestServer {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, self.url(path)).timeout(BOUND);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Sends a POST without a body and without a content type.
    pub(crate) async fn post_nothing(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Posts a task and waits for its end.
    pub(crate) async fn task(&self, session: &str, message: &str) -> Answer {
        self.task_with(session, message, &json!({})).await
    }

    /// Like [`TestServer::task`], with more fields.
    pub(crate) async fn task_with(&self, session: &str, message: &str, more: &Value) -> Answer {
        let mut body = json!({ "sessionId": session, "message": message });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post("/task", &body).await
    }

    /// Posts a task and returns its text answer.
    pub(crate) async fn say(&self, session: &str, message: &str) -> String {
        let answer = self.task(session, message).await.ok();
        answer["response"].as_str().unwrap_or_else(|| panic!("no response: {answer:#}")).to_owned()
    }

    /// Posts a task without waiting for its end, and returns its id.
    pub(crate) async fn enqueue(&self, session: &str, message: &str) -> String {
        let body = json!({ "sessionId": session, "message": message, "async": true });
        let accepted = self.post("/task", &body).await.expect(202);
        accepted["taskId"].as_str().unwrap().to_owned()
    }

    /// Follows a session from now on.
    pub(crate) async fn subscribe(&self, session: &str) -> Subscriber {
        self.subscribe_at(&format!("/stream/{session}")).await
    }

    /// Follows a session from an event on.
    pub(crate) async fn subscribe_since(&self, session: &str, seq: u64) -> Subscriber {
        self.subscribe_at(&format!("/stream/{session}?since={seq}")).await
    }

    pub(crate) async fn subscribe_at(&self, path: &str) -> Subscriber {
        let url = self.url(path).replacen("http", "ws", 1);
        within("the stream opens", Subscriber::open(&url)).await
    }
}
