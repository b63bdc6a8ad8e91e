//! A task on a large repository, from the request to an agent in the clone.

use std::time::Instant;

use mock_api::forge::{Forge, Seed, SeedEntry, Token};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Effort;
use crate::report::{Row, Samples};
use crate::server::{Server, image, milliseconds};

const TOKEN: &str = "ghp_benchmark_token_0123456789abcdefghij";
const NAME: &str = "acme/large";
/// The prompt asks for no work, because the measurement ends when the agent starts.
const PROMPT: &str = r#"json:{"title":"Nothing","summary":"Nothing","checks":[],"blockers":null}"#;
const MEGABYTE: usize = 1_000_000;

/// The first task creates the mirror and later tasks use it. The reference runs without mirrors.
pub(crate) async fn second_task(effort: Effort) -> Vec<Row> {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forge = Forge::serve(listener, directory.path(), vec![Token::full(TOKEN, "acme-dev")]).unwrap();
    let megabytes = effort.of(5, 500);
    let mut seed = Seed::new("A large repository", &[("README.md", "# Large\n")]);
    for number in 0..megabytes {
        seed = seed.with(SeedEntry::File { path: format!("data/{number}"), content: noise(number), executable: false });
    }
    forge.create_repository(NAME, &seed).await.unwrap();
    drop(seed);
    let (url, api_url, image) = (forge.url(), forge.api_url(), image());
    let settings = |cache| {
        [
            ("GITHUB_TOKEN", TOKEN),
            ("GITHUB_URL", &url),
            ("GITHUB_API_URL", &api_url),
            ("REPOSITORY_IMAGE", &image),
            ("REPOSITORY_CACHE", cache),
        ]
    };
    let with_mirror = Server::start(&settings("20g")).await;
    let without = Server::start(&settings("0")).await;
    let first = until_work(&with_mirror).await;
    let (mut ours, mut fresh) = (Samples::default(), Samples::default());
    for _ in 0..effort.of(1, 3) {
        ours.push(until_work(&with_mirror).await);
        fresh.push(until_work(&without).await);
    }
    with_mirror.stop().await;
    without.stop().await;
    let what = |which: &str| format!("{which} task on a repository of {megabytes} MB, POST to an agent in the clone");
    vec![
        Row::one(what("first"), "ms", first),
        Row::new(what("second"), "ms", ours).against("a fresh clone through the gateway", fresh),
    ]
}

/// Returns the milliseconds until the agent is in the clone, and removes everything of the task.
async fn until_work(server: &Server) -> f64 {
    let begin = Instant::now();
    let answer = server.http.post(server.url("http", "/task")).json(&json!({ "prompt": PROMPT, "repo": NAME })).send();
    let accepted: Value = answer.await.unwrap().json().await.unwrap();
    let id = accepted["id"].as_str().unwrap_or_else(|| panic!("{accepted:#}"));
    let path = format!("/task/{id}");
    server.until(&path, |task| task["stage"] == "worker" || !task["error"].is_null()).await;
    let taken = milliseconds(begin.elapsed());
    server.until(&path, |task| !task["finished"].is_null()).await;
    let task = server.get(&path).await;
    assert_eq!(task["stage"], "worker", "{task:#}");
    server.http.delete(server.url("http", &format!("/session/{id}"))).send().await.unwrap().error_for_status().unwrap();
    taken
}

/// Returns random bytes, different for each number.
fn noise(number: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64 + 1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..MEGABYTE / 8).flat_map(|_| next()).collect()
}
