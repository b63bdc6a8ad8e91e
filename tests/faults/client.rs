//! A caller that never treats a broken connection as an answer: it retries until it gets one.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::bounds::{BOUND, PACE, within};
use crate::history::{AcceptedTask, Expected};

#[derive(Clone)]
pub(crate) struct Client {
    address: String,
    http: reqwest::Client,
}

const RESPOND_ASYNC: (&str, &str) = ("prefer", "respond-async");

/// The server's answer. The body is null if it is not JSON.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// A task to post.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) message: String,
    pub(crate) expected: Expected,
    /// More fields of the request body.
    pub(crate) more: Value,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        // Each request has its own connection: a connection to a killed server is not used again.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(BOUND).build().unwrap();
        Client { address: address.to_owned(), http }
    }

    pub(crate) fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.address)
    }

    /// Sends a request once.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<&Value>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.http.request(method, self.url("http", path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or_default() })
    }

    /// Repeats a request until the answer is not "try again later".
    async fn insist(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let asked = async {
            loop {
                match self.ask(method.clone(), path, headers, body).await {
                    Ok(answer) if !not_now(&answer) => return answer,
                    Ok(_) | Err(_) => sleep(PACE).await,
                }
            }
        };
        within(&format!("{method} {path} is answered"), asked).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.insist(Method::GET, path, &[], None).await.body
    }

    pub(crate) async fn status_of(&self, path: &str) -> Option<u16> {
        Some(self.ask(Method::GET, path, &[], None).await.ok()?.status.as_u16())
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.insist(Method::POST, path, &[], None).await
    }

    pub(crate) async fn delete(&self, session: &str) -> Answer {
        self.insist(Method::DELETE, &format!("/session/{session}"), &[], None).await
    }

    /// Posts a task without waiting for its end, with one key for all tries.
    pub(crate) async fn accept(&self, session: &str, work: &Work) -> AcceptedTask {
        let answer = self.submit(session, work, &Uuid::new_v4().to_string()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        work.accepted(session, &answer)
    }

    pub(crate) async fn submit(&self, session: &str, work: &Work, key: &str) -> Answer {
        let headers = [RESPOND_ASYNC, ("idempotency-key", key)];
        self.insist(Method::POST, "/task", &headers, Some(&work.body(session))).await
    }

    /// Posts a task and waits for its answer, with one key for all tries.
    pub(crate) async fn answer(&self, session: &str, work: &Work, key: &str) -> Answer {
        self.insist(Method::POST, "/task", &[("idempotency-key", key)], Some(&work.body(session))).await
    }

    /// Posts a task once.
    pub(crate) async fn try_submit(&self, session: &str, work: &Work) -> reqwest::Result<Answer> {
        self.ask(Method::POST, "/task", &[RESPOND_ASYNC], Some(&work.body(session))).await
    }

    /// Polls a task's record until the task has ended.
    pub(crate) async fn ended(&self, task: &str) -> Value {
        let started = Instant::now();
        loop {
            let record = self.get(&format!("/task/{task}")).await;
            if !["queued", "running"].iter().any(|status| record["status"] == *status) {
                return record;
            }
            assert!(started.elapsed() < BOUND, "task {task} did not end: {record}");
            sleep(PACE).await;
        }
    }
}

impl Work {
    pub(crate) fn accepted(&self, session: &str, answer: &Answer) -> AcceptedTask {
        AcceptedTask {
            session: session.to_owned(),
            task: answer.body["taskId"].as_str().unwrap_or_else(|| panic!("no task: {answer:?}")).to_owned(),
            message: self.message.clone(),
            expected: self.expected.clone(),
        }
    }

    fn body(&self, session: &str) -> Value {
        let mut body = json!({ "sessionId": session, "message": self.message });
        if let (Some(body), Some(more)) = (body.as_object_mut(), self.more.as_object()) {
            body.extend(more.clone());
        }
        body
    }
}

fn not_now(answer: &Answer) -> bool {
    answer.body["code"] == "shutting_down" || answer.status == StatusCode::INTERNAL_SERVER_ERROR
}
