//! Names of models, their prices, and MODEL_PRICES_URL.

use std::sync::{Arc, Mutex};

use axum::Router;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::access::{ADMIN, Caller, ended, make_key};
use crate::server::{Answer, Setup, TestServer};

fn model<'a>(models: &'a Value, name: &str) -> Option<&'a Value> {
    models.as_array().unwrap().iter().find(|model| model["name"] == name)
}

#[tokio::test]
async fn any_model_is_used_and_marked_where_it_has_no_price() {
    // The default is a short name, which the CLI resolves itself.
    let server = Setup::new().env("MODEL", "").start().await;
    let known = server.task("s", "model:").await.ok();
    let resolved = known["response"].as_str().unwrap();
    assert!(resolved.starts_with("claude-sonnet-"), "{known:#}");
    assert_eq!(known["priceAssumed"], Value::Null, "{known:#}");
    let record = server.get(&format!("/task/{}", known["taskId"].as_str().unwrap())).await.ok();
    assert_eq!(record["model"], "sonnet");

    let new = server.task_with("s", "model:", &json!({ "model": "claude-next-9" })).await.ok();
    assert_eq!((&new["response"], &new["priceAssumed"]), (&json!("claude-next-9"), &json!(true)), "{new:#}");
    let platform = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
    let haiku = server.task_with("s", "model:", &json!({ "model": platform })).await.ok();
    assert_eq!((&haiku["response"], &haiku["priceAssumed"]), (&json!(platform), &Value::Null), "{haiku:#}");

    let record = server.get(&format!("/task/{}", new["taskId"].as_str().unwrap())).await.ok();
    assert_eq!(record["priceAssumed"], true);
    let end = server.subscribe_since("s", 0).await.until_end_of(&new["taskId"]).await;
    assert_eq!((&end["type"], &end["priceAssumed"]), (&json!("task_complete"), &json!(true)), "{end:#}");
    let usage = server.get("/usage?by=model").await.ok();
    let marked: Vec<&Value> =
        usage["rows"].as_array().unwrap().iter().filter(|row| row["priceAssumed"] == true).collect();
    assert_eq!(marked.iter().map(|row| &row["model"]).collect::<Vec<_>>(), ["claude-next-9"]);
    assert_eq!(usage["totals"]["priceAssumed"], true);

    let models = server.get("/models").await.ok();
    let new = model(&models, "claude-next-9").unwrap();
    assert_eq!((&new["source"], &new["priceAssumed"]), (&json!("assumed"), &json!(true)));
    assert_eq!(model(&models, "claude-haiku-4-5").unwrap()["price"]["output"], 5.0);
    assert_eq!(server.log().matches("this model has no price").count(), 1);
    server.finish().await;
}

/// Starts a server of prices. Returns its address and its next answer.
async fn price_server(table: &str) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/prices.json", listener.local_addr().unwrap());
    let answer = Arc::new(Mutex::new(table.to_owned()));
    let next = Arc::clone(&answer);
    let router = Router::new().fallback(move || std::future::ready(next.lock().unwrap().clone()));
    TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
    (url, answer)
}

async fn refresh(server: &TestServer) -> Answer {
    server.post_nothing("/models/refresh").await
}

#[tokio::test]
async fn prices_are_fetched_at_the_start_and_on_request_and_kept() {
    let (url, table) = price_server(r#"{"models":{"claude-next-9":{"input":1,"output":2,"context":5000}}}"#).await;
    let mut server = Setup::new().without_image().env("MODEL_PRICES_URL", &url).start().await;
    server.logged("fetched the prices of models").await;
    let models = server.get("/models").await.ok();
    let next = model(&models, "claude-next-9").unwrap();
    assert_eq!(
        (&next["price"]["output"], &next["context"], &next["source"], &next["priceAssumed"]),
        (&json!(2.0), &json!(5000), &json!("url"), &json!(false))
    );

    *table.lock().unwrap() =
        r#"{"models":{"claude-next-9":{"input":1,"output":3},"claude-opus-4-6":{"input":1,"output":1}}}"#.into();
    let refreshed = refresh(&server).await.ok();
    assert_eq!((&refreshed["changed"], &refreshed["lower"]), (&json!(["claude-next-9"]), &json!(["claude-opus-4-6"])));
    *table.lock().unwrap() = r#"{"models":{"claude-next-9":{"input":1}}}"#.into();
    let problem = refresh(&server).await.problem(502, "prices_unavailable");
    assert!(problem["error"].as_str().unwrap().contains("`models.claude-next-9`: output is missing"), "{problem}");

    // The next start has the last good table, although the address has a damaged one.
    server.stop().await;
    server.start_again().await;
    let models = server.get("/models").await.ok();
    assert_eq!(model(&models, "claude-next-9").unwrap()["price"]["output"], 3.0);
    assert_eq!(model(&models, "claude-opus-4-6").unwrap()["price"]["output"], 25.0);
    server.finish().await;
}

#[tokio::test]
async fn a_key_reads_its_models_and_only_an_administrator_refreshes() {
    let server =
        Setup::new().without_image().env("API_KEYS", ADMIN).env("MODEL", "our-model").start().await.with_key(ADMIN);
    let all = server.get("/models").await.ok();
    assert_eq!(model(&all, "our-model").unwrap()["priceAssumed"], true, "MODEL is in the list");
    refresh(&server).await.problem(409, "no_prices_url");

    let reader = make_key(&server, &["--scope", "read"]).await;
    assert_eq!(Caller::new(&server, 1, Some(&reader)).call("GET", "/models").await.ok(), all);
    let haiku = make_key(&server, &["--scope", "submit", "--model", "haiku"]).await;
    let haiku = Caller::new(&server, 2, Some(&haiku));
    let few = haiku.call("GET", "/models").await.ok();
    assert!(few.as_array().unwrap().iter().all(|model| model["name"].as_str().unwrap().contains("haiku")), "{few}");
    assert!(!few.as_array().unwrap().is_empty());
    haiku.call("POST", "/models/refresh").await.problem(403, "forbidden");

    // A task of this key that names no model gets one that the key may use.
    let body = json!({ "sessionId": "s", "message": "say:hello", "async": true });
    let task = server.send(haiku.request("POST", "/task").json(&body)).await.expect(202);
    let record = server.get(&format!("/task/{}", task["taskId"].as_str().unwrap())).await.ok();
    assert_eq!(record["model"], "haiku");
    ended(&server, task["taskId"].as_str().unwrap()).await;
    server.finish().await;
}

#[tokio::test]
async fn the_command_lists_models_and_fetches_their_prices() {
    let (url, _table) = price_server(r#"{"models":{"claude-next-9":{"input":1,"output":2}}}"#).await;
    let server = Setup::new().without_image().env("MODEL_PRICES_URL", &url).start().await;
    server.logged("fetched the prices of models").await;
    let listed = server.run(&["models"]).await;
    assert!(listed.code == 0 && listed.out.contains("claude-next-9") && listed.out.contains("$25.00"), "{listed:?}");
    let one: Vec<Value> = server
        .run(&["models", "list", "--json"])
        .await
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(one.iter().any(|model| model["name"] == "claude-next-9" && model["source"] == "url"));
    let refreshed = server.run(&["models", "refresh"]).await;
    assert!(refreshed.code == 0 && refreshed.out.contains("1 model; 0 new or changed"), "{refreshed:?}");
    server.finish().await;
}
