//! The kinds of the attack. Each repeats its action until the attack is over.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use serde_json::json;
use tokio::time::timeout;

use super::{Attack, HOLD, LARGE, SESSION, Tally};

pub(super) async fn queue(attack: Arc<Attack>, number: usize, tally: Arc<Tally>) {
    let text = "a".repeat(LARGE);
    // The first task blocks those behind it.
    let session = format!("{SESSION}-queue-{number}");
    let _ = attack.post(json!({ "sessionId": session, "message": "wait:600000", "async": true })).await;
    for _ in 0..75 {
        if attack.is_over() {
            return;
        }
        tally.take(attack.post(json!({ "sessionId": session, "message": text, "async": true })).await).await;
    }
}

pub(super) async fn search(attack: Arc<Attack>, tally: Arc<Tally>) {
    while !attack.is_over() {
        let path = attack.url(&format!("/tasks?q={}", "a".repeat(200)));
        let request = attack.client.get(path).bearer_auth(&attack.key).timeout(Duration::from_secs(3));
        tally.take(request.send().await).await;
    }
}

pub(super) async fn unread(attack: Arc<Attack>, path: &str, tally: Arc<Tally>) {
    while !attack.is_over() {
        attack.hold(1, &attack.head("GET", path, ""), &tally).await;
    }
}

pub(super) async fn half_body(attack: Arc<Attack>, tally: Arc<Tally>) {
    let mut head =
        attack.head("POST", "/task", &format!("content-type: application/json\r\ncontent-length: {LARGE}\r\n"));
    head.push('{');
    while !attack.is_over() {
        attack.hold(1, &head, &tally).await;
    }
}

pub(super) async fn subscribe(attack: Arc<Attack>, tally: Arc<Tally>) {
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    while !attack.is_over() {
        attack.hold(1, &attack.head("GET", "/stream/hostile", upgrade), &tally).await;
    }
}

pub(super) async fn credentials(attack: Arc<Attack>, tally: Arc<Tally>) {
    let path = attack.url("/session/hostile/credential");
    let mut number = 0_u32;
    while !attack.is_over() {
        number += 1;
        let key = if number.is_multiple_of(8) { "k".repeat(LARGE) } else { format!("{number:04096}") };
        let put = attack.client.put(&path).bearer_auth(&attack.key).json(&json!({ "apiKey": key }));
        tally.take(put.send().await).await;
        tally.take(attack.client.delete(&path).bearer_auth(&attack.key).send().await).await;
    }
}

/// Bodies whose values would take a hundred times their text.
pub(super) async fn values(attack: Arc<Attack>, number: usize, tally: Arc<Tally>) {
    let member = if number.is_multiple_of(2) {
        format!("\"metadata\":[{}0]", "0,".repeat(LARGE / 2 - 1))
    } else {
        let names: Vec<String> = (0..LARGE / 16).map(|number| format!("\"V{number}\":\"\"")).collect();
        format!("\"env\":{{{}}}", names.join(","))
    };
    let body = format!("{{\"sessionId\":\"{SESSION}\",\"message\":\"m\",{member}}}");
    while !attack.is_over() {
        let request = attack.client.post(attack.url("/task")).bearer_auth(&attack.key);
        let request = request.header("content-type", "application/json").body(body.clone());
        tally.take(request.send().await).await;
    }
}

pub(super) async fn half_head(attack: Arc<Attack>, tally: Arc<Tally>) {
    let head = format!("GET / HTTP/1.1\r\nx-long: {}", "a".repeat(60 * 1024));
    while !attack.is_over() {
        attack.hold(4, &head, &tally).await;
    }
}

pub(super) async fn idle(attack: Arc<Attack>, tally: Arc<Tally>) {
    while !attack.is_over() {
        attack.hold(2, "", &tally).await;
    }
}

pub(super) async fn wrong_key(attack: Arc<Attack>, tally: Arc<Tally>) {
    let client = Client::builder().local_address(Some(Ipv4Addr::new(127, 0, 3, 3).into())).build().unwrap();
    while !attack.is_over() {
        tally.take(client.get(attack.url("/sessions")).bearer_auth("wrong").send().await).await;
    }
}

pub(super) async fn webhooks(attack: Arc<Attack>, number: usize, tally: Arc<Tally>) {
    let session = format!("{SESSION}-webhook-{number}");
    for _ in 0..60 {
        if attack.is_over() {
            return;
        }
        let task = json!({ "sessionId": session, "message": "wait:600000", "async": true, "webhook": attack.silent });
        tally.take(attack.post(task).await).await;
        let abort = attack.client.post(attack.url(&format!("/task/{session}/abort"))).bearer_auth(&attack.key);
        let _ = timeout(HOLD, abort.json(&json!({})).send()).await;
    }
}

/// Fills a queue with large tasks and clears it: by an abort, and by a deletion.
pub(super) async fn aborted_queue(attack: Arc<Attack>, number: usize, tally: Arc<Tally>) {
    let text = "a".repeat(LARGE);
    let session = format!("{SESSION}-aborted-{number}");
    let mut deletes = false;
    while !attack.is_over() {
        let _ = attack.post(json!({ "sessionId": session, "message": "wait:600000", "async": true })).await;
        for _ in 0..20 {
            tally.take(attack.post(json!({ "sessionId": session, "message": text, "async": true })).await).await;
        }
        let ending = if deletes {
            attack.client.delete(attack.url(&format!("/session/{session}")))
        } else {
            attack.client.post(attack.url(&format!("/task/{session}/abort"))).json(&json!({}))
        };
        tally.take(ending.bearer_auth(&attack.key).send().await).await;
        deletes = !deletes;
    }
}

/// Changes the credential of a session that has as many variables as a session may have.
pub(super) async fn variables(attack: Arc<Attack>, number: usize, tally: Arc<Tally>) {
    let session = format!("{SESSION}-variables-{number}");
    let env: serde_json::Map<_, _> = (0..998).map(|name| (format!("V{name}"), json!("v".repeat(1000)))).collect();
    tally
        .take(attack.post(json!({ "sessionId": session, "message": "say:hi", "async": true, "env": env })).await)
        .await;
    let path = attack.url(&format!("/session/{session}/credential"));
    let mut round = 0_u32;
    while !attack.is_over() {
        round += 1;
        let put =
            attack.client.put(&path).bearer_auth(&attack.key).json(&json!({ "apiKey": format!("key-{round:09}") }));
        tally.take(put.send().await).await;
    }
}

pub(super) async fn readiness(attack: Arc<Attack>, tally: Arc<Tally>) {
    let client = Client::builder().local_address(Some(Ipv4Addr::new(127, 0, 3, 5).into())).build().unwrap();
    while !attack.is_over() {
        tally.take(client.get(attack.url("/ready")).send().await).await;
    }
}
