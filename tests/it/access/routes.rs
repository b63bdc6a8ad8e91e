//! Every route with every kind of key that lacks the right for it.

use domain::access::{ApiKey, KeyLimits, KeySecret, Scope};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::json;
use store::KeyStore;

use super::{ADMIN, Caller, audit, data, ended, forgotten, id_of, make_key, revoke};
use crate::server::Setup;

/// The right that a route needs besides a key.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Needs {
    /// The route needs no key: routes for load balancers, and the login page.
    Nothing,
    Read,
    Submit,
    Admin,
}

/// The answer of a route to a caller who may not see the session.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Foreign {
    NotThere,
    Forbidden,
    /// The list omits the session.
    LeftOut,
    /// The feed sends changes only to callers who may see them; `watch.rs` tests it.
    Live,
    /// The answer is about the whole installation.
    Installation,
    /// The answer is about no session.
    NoSession,
}

use Foreign::{Forbidden, Installation, LeftOut, Live, NoSession, NotThere};
use Needs::{Admin, Nothing, Read, Submit};

/// All routes. A new route must state its needs here.
const ROUTES: [(&str, &str, Needs, Foreign); 37] = [
    ("POST", "/task", Submit, Forbidden),
    ("GET", "/task/{id}", Read, NotThere),
    ("GET", "/task/{id}/logs", Read, NotThere),
    ("POST", "/task/{id}/abort", Submit, NotThere),
    ("POST", "/task/{id}/retry", Submit, NotThere),
    ("GET", "/tasks", Read, LeftOut),
    ("GET", "/asks", Read, LeftOut),
    ("GET", "/ask/{id}", Read, NotThere),
    ("POST", "/ask/{id}/answer", Admin, Forbidden),
    ("GET", "/sessions", Read, LeftOut),
    ("GET", "/session/{id}", Read, NotThere),
    ("DELETE", "/session/{id}", Submit, NotThere),
    ("POST", "/session/{id}/reset", Submit, NotThere),
    ("POST", "/session/{id}/ticket", Read, NotThere),
    ("PUT", "/session/{id}/credential", Submit, NotThere),
    ("DELETE", "/session/{id}/credential", Submit, NotThere),
    ("GET", "/session/{id}/events", Read, NotThere),
    ("GET", "/stream/{id}", Read, NotThere),
    ("GET", "/agents", Read, NoSession),
    ("GET", "/models", Read, NoSession),
    ("POST", "/models/refresh", Admin, Installation),
    ("GET", "/session/{id}/files", Read, NotThere),
    ("GET", "/session/{id}/files/{*path}", Read, NotThere),
    ("GET", "/sandboxes", Read, Installation),
    ("GET", "/watch", Read, Live),
    ("GET", "/usage", Read, NoSession),
    ("GET", "/webhooks", Read, LeftOut),
    ("POST", "/webhooks/{id}/replay", Submit, NotThere),
    ("GET", "/metrics", Read, NoSession),
    ("GET", "/openapi.json", Read, NoSession),
    ("GET", "/asyncapi.json", Read, NoSession),
    ("GET", "/docs", Nothing, NoSession),
    ("GET", "/docs/{file}", Nothing, NoSession),
    ("GET", "/health", Nothing, NoSession),
    ("GET", "/ready", Nothing, NoSession),
    ("GET", "/", Nothing, NoSession),
    ("GET", "/assets/{file}", Nothing, NoSession),
];

#[test]
fn the_table_has_every_route() {
    let source = include_str!("../../../crates/api/src/lib.rs");
    let mut routes = Vec::new();
    for route in source.split(".route(\"").skip(1) {
        let (path, rest) = route.split_once('"').unwrap();
        let handlers = rest.split_once(".fallback(").map_or(rest, |(before, _)| before);
        for (call, method) in [
            ("get(", "GET"),
            ("post(", "POST"),
            ("put(", "PUT"),
            ("patch(", "PATCH"),
            ("delete(", "DELETE"),
            ("any(", "ANY"),
        ] {
            if handlers.contains(call) {
                routes.push((method, path));
            }
        }
    }
    let mut table: Vec<_> = ROUTES.iter().map(|(method, path, ..)| (*method, *path)).collect();
    routes.sort_unstable();
    table.sort_unstable();
    assert_eq!(table, routes);
    // The list above would miss routes that are registered in these ways.
    for other in ["route_service", "nest(", "nest_service", "fallback_service", "merge("] {
        assert!(!source.contains(other), "{other}");
    }
}

#[tokio::test]
async fn every_route_is_closed_to_a_key_that_does_not_open_it() {
    let server = Setup::new().without_image().env("API_KEYS", ADMIN).start().await.with_key(ADMIN);
    let task = server.enqueue("theirs", "say:the message").await;
    ended(&server, &task).await;
    let path = |route: &str| {
        let id = if route.starts_with("/task/") { &task } else { "theirs" };
        route.replace("{id}", id)
    };

    let revoked = make_key(&server, &["--scope", "admin"]).await;
    revoke(&server, &revoked);
    forgotten(&server, &revoked).await;
    let secret = KeySecret::generate();
    let expired = secret.text().expose_secret().to_owned();
    let key = ApiKey {
        id: secret.id.clone(),
        name: None,
        digest: secret.digest(),
        scope: Scope::Admin,
        sessions: None,
        limits: KeyLimits::default(),
        created: Timestamp::now(),
        expires: Some(Timestamp::now() + SignedDuration::from_secs(1)),
        revoked: None,
    };
    KeyStore::open(&data(&server)).unwrap().insert(&key).unwrap();
    forgotten(&server, &expired).await;

    let closed = [None, Some("wrong"), Some(revoked.as_str()), Some(expired.as_str())];
    for (number, key) in (1..).zip(closed) {
        // One address may guess a bounded number of times.
        let callers = [number, number + 60].map(|address| Caller::new(&server, address, key));
        let closed = ROUTES.iter().filter(|(_, _, needs, _)| *needs != Nothing);
        for (index, (method, route, needs, _)) in closed.enumerate() {
            let answer = callers[index % 2].call(method, &path(route)).await;
            assert!(!answer.header("x-request-id").is_empty());
            assert_eq!(answer.status, 401, "{method} {route} needs {needs:?}");
            answer.problem(401, "unauthorized");
        }
        let caller = Caller::new(&server, number + 100, key);
        for (method, path) in [("GET", "/nowhere"), ("HEAD", "/sessions"), ("OPTIONS", "/task"), ("PATCH", "/task")] {
            assert_eq!(caller.call(method, path).await.status, 401, "{method} {path}");
        }
        let health = caller.call("GET", "/health").await.ok();
        assert_eq!(health, json!({ "status": "ok", "ok": true, "name": "claude-runner" }));
        assert_eq!(caller.call("GET", "/ready").await.expect(503), json!({ "ready": false }));
    }
    let caller = Caller::new(&server, 20, None);
    for name in ["key", "api_key", "access_token", "token", "authorization", "ticket"] {
        caller.call("GET", &format!("/sessions?{name}={ADMIN}")).await.problem(401, "unauthorized");
        caller.call("GET", &format!("/stream/theirs?{name}={ADMIN}")).await.problem(401, "unauthorized");
    }
    for header in [ADMIN.to_owned(), format!("Basic {ADMIN}"), format!("Bearer{ADMIN}"), format!("Bearer {ADMIN},")] {
        let request = caller.request("GET", "/sessions").header("authorization", &header);
        server.send(request).await.problem(401, "unauthorized");
    }

    let reader = make_key(&server, &["--scope", "read"]).await;
    let reader = Caller::new(&server, 21, Some(&reader));
    let foreign = make_key(&server, &["--scope", "submit", "--sessions", "mine-"]).await;
    let mine = Caller::new(&server, 22, Some(&foreign));
    for (method, route, needs, whose) in ROUTES {
        let path = path(route);
        if matches!(needs, Submit | Admin) {
            reader.call(method, &path).await.problem(403, "forbidden");
        }
        match whose {
            NotThere => {
                let mut request = mine.request(method, &path);
                if route.starts_with("/stream") {
                    request = request
                        .header("connection", "upgrade")
                        .header("upgrade", "websocket")
                        .header("sec-websocket-version", "13")
                        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
                }
                assert_eq!(server.send(request).await.status, 404, "{method} {route}");
            }
            Forbidden => {
                let body = json!({ "sessionId": "theirs", "message": "say:hello", "async": true });
                let answer = server.send(mine.request(method, &path).json(&body)).await;
                answer.problem(403, "forbidden");
            }
            LeftOut => assert_eq!(mine.call(method, &path).await.ok(), json!([]), "{method} {route}"),
            Installation => drop(mine.call(method, &path).await.problem(403, "forbidden")),
            Live | NoSession => {}
        }
    }
    mine.call("POST", "/task/theirs/abort").await.problem(404, "session_not_found");
    let sessions = server.get("/sessions").await.ok();
    assert_eq!(sessions[0]["sessionId"], "theirs", "the request had an effect");
    assert_eq!(sessions.as_array().unwrap().len(), 1);
    assert_eq!(server.get("/tasks").await.ok().as_array().unwrap().len(), 1);

    // The caller's own session exists.
    let body = json!({ "sessionId": "mine-1", "message": "say:a secret sentence", "async": true });
    let own = server.send(mine.request("POST", "/task").json(&body)).await.expect(202);
    ended(&server, own["taskId"].as_str().unwrap()).await;
    for list in ["/sessions", "/tasks"] {
        let list = mine.call("GET", list).await.ok();
        assert_eq!((list.as_array().unwrap().len(), &list[0]["sessionId"]), (1, &json!("mine-1")));
        assert_eq!(reader.call("GET", "/sessions").await.ok().as_array().unwrap().len(), 2);
    }

    // The audit log contains every one of these requests and no secret.
    let log = audit(&server);
    let of = |status: u16| log.iter().filter(|line| line["http.status"] == status).count();
    assert!(of(401) >= 4 * 16 && of(403) >= 5 && of(404) >= 9, "{} {} {}", of(401), of(403), of(404));
    assert!(log.iter().all(|line| line["request.id"].is_string() && line["peer"].is_string()));
    let line = log.iter().find(|line| line["task.id"] == own["taskId"] && line["http.method"] == "POST").unwrap();
    assert_eq!((&line["key.id"], &line["session.id"]), (&json!(id_of(&foreign)), &json!("mine-1")));
    let text = format!("{log:?}");
    for secret in ["a secret sentence", "the message", ADMIN, &revoked, &expired, &foreign] {
        assert!(!text.contains(secret) && !server.log().contains(secret), "{secret}");
    }
    server.finish().await;
}
