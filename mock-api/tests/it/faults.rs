use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::asking::{Model, ask};

async fn error(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let mut body: Value = response.json().await.unwrap();
    assert!(body["request_id"].as_str().unwrap().starts_with("req_"));
    body.as_object_mut().unwrap().remove("request_id");
    (status, body)
}

#[tokio::test]
async fn status_fails_each_time_in_the_vendors_shape() {
    let model = Model::start().await;
    for (code, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ] {
        let body = ask(&format!("status:{code}"));
        let message = format!("scripted {code}");
        let expected = json!({ "type": "error", "error": { "type": kind, "message": message } });
        for _ in 0..2 {
            assert_eq!(error(model.send(&body).await).await, (code, expected.clone()));
        }
    }
}

#[tokio::test]
async fn status_once_fails_only_the_first_request_for_a_message() {
    let model = Model::start().await;
    let mut body = ask("status-once:529 retry-after=2");
    let response = model.send(&body).await;
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(response.status().as_u16(), 529);
    assert_eq!(model.text("status-once:529 retry-after=2").await, "answered after 529 retry-after=2");
    // Another conversation counts separately.
    body["metadata"] = json!({ "user_id": "another" });
    assert_eq!(model.send(&body).await.status().as_u16(), 529);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let model = Model::start().await;
    let response = reqwest::get(format!("{}/v1/models", model.handle.url())).await.unwrap();
    let expected = json!({ "type": "error", "error": {
        "type": "not_found_error", "message": "the scripted model has nothing at /v1/models" } });
    assert_eq!(error(response).await, (404, expected));
    let head = reqwest::Client::new().head(model.handle.url()).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
}
