use mock_api::acme::{AcmeApi, DEFAULT_TOKEN};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::asking::listener;

async fn start() -> AcmeApi {
    AcmeApi::serve(listener().await, DEFAULT_TOKEN).unwrap()
}

async fn call(api: &AcmeApi, method: Method, path: &str, body: &str) -> (u16, Value) {
    let request = Client::new().request(method, format!("{}{path}", api.url())).bearer_auth(DEFAULT_TOKEN);
    let response = request.body(body.to_owned()).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn get(api: &AcmeApi, path: &str) -> (u16, Value) {
    call(api, Method::GET, path, "").await
}

#[tokio::test]
async fn users_are_found_by_email_and_by_id() {
    let api = start().await;
    let alice = json!({ "id": "u_alice", "name": "Alice", "email": "alice@acme.test", "plan": "Pro" });
    assert_eq!(get(&api, "/users?email=Alice@acme.test").await, (200, json!({ "users": [alice] })));
    assert_eq!(get(&api, "/users/u_alice").await, (200, alice));
    assert_eq!(get(&api, "/users?email=nobody@acme.test").await, (200, json!({ "users": [] })));
    let (_, all) = get(&api, "/users").await;
    assert_eq!(all["users"].as_array().unwrap().len(), 3);
    assert_eq!(api.calls()[1], "GET /users/u_alice 200");
}

#[tokio::test]
async fn usage_and_subscription_are_always_the_same() {
    let api = start().await;
    let usage = json!({ "userId": "u_alice", "period": "this month", "used": 742, "limit": 1000, "remaining": 258 });
    assert_eq!(get(&api, "/users/u_alice/usage").await, (200, usage));
    let subscription = json!({ "userId": "u_carol", "plan": "Enterprise", "status": "active",
        "callsPerMonth": 100_000, "dollarsPerMonth": 999 });
    assert_eq!(get(&api, "/users/u_carol/subscription").await, (200, subscription));
}

#[tokio::test]
async fn an_upgrade_changes_the_plan_and_its_limit() {
    let api = start().await;
    let answer = json!({ "userId": "u_bob", "plan": "Pro", "previousPlan": "Free", "status": "active",
        "callsPerMonth": 1000, "dollarsPerMonth": 29 });
    assert_eq!(call(&api, Method::POST, "/users/u_bob/upgrade", r#"{"plan":"pro"}"#).await, (200, answer));
    let (_, usage) = get(&api, "/users/u_bob/usage").await;
    assert_eq!(usage["remaining"], 900);
    let refused = json!({ "error": "Bob is on the plan Pro, and Free is no upgrade from it." });
    assert_eq!(call(&api, Method::POST, "/users/u_bob/upgrade", r#"{"plan":"Free"}"#).await, (409, refused));
}

#[tokio::test]
async fn errors_are_sentences() {
    let api = start().await;
    let error = |text: &str| json!({ "error": text });
    assert_eq!(get(&api, "/users/u_x").await, (404, error("There is no user with the id `u_x`.")));
    assert_eq!(
        call(&api, Method::POST, "/users/u_bob/upgrade", "{").await,
        (400, error("The body must be JSON such as {\"plan\":\"Scale\"}."))
    );
    assert_eq!(
        call(&api, Method::POST, "/users/u_bob/upgrade", r#"{"plan":"Gold"}"#).await,
        (400, error("There is no plan `Gold`. The plans are Free, Pro, Scale, Enterprise."))
    );
    let (status, body) = get(&api, "/nothing").await;
    assert_eq!((status, body["error"].as_str().unwrap().starts_with("There is nothing at /nothing.")), (404, true));
    let (status, body) = call(&api, Method::DELETE, "/users/u_bob", "").await;
    assert_eq!((status, body), (405, error("This path does not take the method DELETE.")));
}

#[tokio::test]
async fn only_health_needs_no_token() {
    let api = start().await;
    let client = Client::new();
    let health = client.get(format!("{}/health", api.url())).send().await.unwrap();
    assert_eq!(health.status(), 200);
    for path in ["/users", "/nothing"] {
        let request = || client.get(format!("{}{path}", api.url()));
        assert_eq!(request().send().await.unwrap().status(), 401, "{path}");
        assert_eq!(request().bearer_auth("another").send().await.unwrap().status(), 401, "{path}");
    }
}
