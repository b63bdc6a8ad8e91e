//! Attacks from the agent's shell inside a sandbox without a network.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};

use super::attacks::{self, ABSTRACT, Attack, OTHER};
use super::lab::{ALLOWED, ATTACKERS_KEY, Lab, OWN_PORT, TCP_PORTS, UDP_PORTS};
use super::report::{Attempt, report};
use crate::bounds::within;
use crate::server::{Setup, TestServer};

/// Text that a caller of /health sees but an attacker must not.
const OWN_ANSWER: &str = "\"version\":";

#[tokio::test]
async fn nothing_leaves_a_sandbox_that_was_not_allowed() {
    let lab = Lab::enter().await;
    the_lab_counts(&lab).await;
    let before = lab.hits();
    assert!(before > 0);

    let attacks = attacks::all();
    let template = tempfile::tempdir().unwrap();
    std::fs::write(template.path().join("AGENTS.md"), "You are the agent of a test.\n").unwrap();
    attacks::write(&attacks, template.path());
    std::fs::write(template.path().join("attacks/other"), OTHER).unwrap();
    std::fs::write(template.path().join("attacks/abstract.pl"), ABSTRACT).unwrap();
    let server = Setup::new()
        .env("AGENT_DIR", template.path().display().to_string())
        .env("PORT", OWN_PORT.to_string())
        .env("ANTHROPIC_BASE_URL", format!("http://model.open.test:{}", lab.tap.port()))
        // The operator's rules allow more than is wise.
        .env(
            "EGRESS_ALLOW",
            format!(
                "allowed.test:8080,*.open.test,*.open.test:8080,*.open.test:{OWN_PORT},meta-named.test:80,\
                 host.docker.internal:{OWN_PORT},127.0.0.1:{OWN_PORT},[::ffff:127.0.0.1]:{OWN_PORT},10.0.0.5:2375,\
                 host.docker.internal:2375,allowed.test:2376"
            ),
        )
        .start()
        .await;
    lab.tap.set_model(&server.model.url());

    // The other sandbox provides a target.
    assert_eq!(server.say("other", "bash:bash attacks/other").await, "done: REACHED\nREACHED");
    // The caller also allows an address that the agent must not reach.
    let env = json!({ "env": { "METADATA": "http://169.254.169.254:8000/" } });
    let interfaces = server.task_with("attacker", "bash:cat /proc/net/dev | grep -c :", &env).await.ok();
    assert_eq!(interfaces["response"], "done: 1", "only loopback, or what follows would reach real addresses");
    positive_controls(&server, &lab).await;
    assert_eq!(lab.hits(), before);

    let attempts = attack(&server, &lab, &attacks).await;
    assert!(attempts.len() >= 60);
    assert!(lab.names.rebound() > 0, "the rebinding name was never looked up");
    report("network", &attempts);
    assert_eq!(lab.hits(), before, "something arrived after its attempt");
    server.finish().await;
}

/// Checks that the lab detects the failure of every kind of control.
async fn the_lab_counts(lab: &Lab) {
    let addresses = ["10.0.0.5", "169.254.169.254", "192.168.7.7", "93.184.216.34", "127.0.0.1", "[fd00::5]", "[::1]"];
    for address in addresses {
        for port in TCP_PORTS {
            if format!("{address}:{port}") != ALLOWED {
                counted(lab, async {
                    let mut stream = TcpStream::connect(format!("{address}:{port}")).await.unwrap();
                    stream.write_all(b"test").await.unwrap();
                })
                .await;
            }
        }
    }
    for port in UDP_PORTS {
        for (from, to) in [("0.0.0.0:0", "10.0.0.5"), ("[::]:0", "[fd00::5]")] {
            counted(lab, async {
                UdpSocket::bind(from).await.unwrap().send_to(b"test", format!("{to}:{port}")).await.unwrap();
            })
            .await;
        }
    }
    counted(lab, async { drop(tokio::net::lookup_host("exfil.attacker.test:80").await) }).await;
    for request in [
        format!("POST /v1/messages HTTP/1.1\r\nx-api-key: {ATTACKERS_KEY}\r\n\r\n"),
        "GET /v1/files HTTP/1.1\r\n\r\n".to_owned(),
        "POST /v1/messages HTTP/1.1\r\n\r\n{\"a\":\"b\"}GET /v1/files HTTP/1.1\r\n\r\n".to_owned(),
    ] {
        counted(lab, async {
            let mut stream = TcpStream::connect(("127.0.0.1", lab.tap.port())).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
        })
        .await;
    }
}

async fn counted(lab: &Lab, attempt: impl Future<Output = ()>) {
    let before = lab.hits();
    attempt.await;
    within("the lab counts a hit", async {
        while lab.hits() == before {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Checks that allowed requests succeed on both ways, and that their answers differ from a refusal.
async fn positive_controls(server: &TestServer, lab: &Lab) {
    let by_proxy = "bash:curl -s -x http://127.0.0.1:8787 http://allowed.test:8080/; \
                    curl -s -p -x http://127.0.0.1:8787 http://public.open.test:8080/";
    assert_eq!(server.say("attacker", by_proxy).await, "done: ALLOWEDALLOWED");
    assert_eq!(lab.sink.allowed(), 2);
    assert!(server.get("/health").await.ok().to_string().contains(OWN_ANSWER));
}

/// Runs the attacks class by class. If a class has a hit, its attacks run again one by one.
async fn attack(server: &TestServer, lab: &Lab, attacks: &[Attack]) -> Vec<Attempt> {
    let mut classes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut order = Vec::new();
    for (place, attack) in attacks.iter().enumerate() {
        if !classes.contains_key(attack.class) {
            order.push(attack.class);
        }
        classes.entry(attack.class).or_default().push(place + 1);
    }
    let mut attempts = Vec::new();
    for class in order {
        let before = lab.hits();
        let got = run(server, &classes[class]).await;
        let all_missed = lab.hits() == before;
        for (number, got) in got {
            let hits = if all_missed { 0 } else { hits_of(server, lab, number).await };
            let succeeded = hits > 0 || got.contains("SINK") || got.contains("REACHED") || got.contains(OWN_ANSWER);
            let got = if hits > 0 { format!("{hits} hits at the sink; {got}") } else { got };
            attempts.push(Attempt {
                class: class.to_owned(),
                attempt: attacks[number - 1].name.clone(),
                got,
                succeeded,
            });
        }
        if !all_missed && attempts.iter().all(|attempt| !attempt.succeeded) {
            let (class, attempt) = (class.to_owned(), "one of the class, not seen when repeated".to_owned());
            attempts.push(Attempt { class, attempt, got: "hits at the sink".to_owned(), succeeded: true });
        }
    }
    attempts
}

async fn hits_of(server: &TestServer, lab: &Lab, number: usize) -> u64 {
    let before = lab.hits();
    run(server, &[number]).await;
    lab.hits() - before
}

/// Runs these attacks and returns their output in order.
async fn run(server: &TestServer, numbers: &[usize]) -> Vec<(usize, String)> {
    let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let said = server.say("attacker", &format!("bash:bash attacks/run {}", list.join(" "))).await;
    let lines = said.strip_prefix("done: ").unwrap_or(&said).lines().filter_map(|line| line.split_once('\t'));
    let got: Vec<(usize, String)> = lines
        .map(|(number, got)| (number.parse().unwrap(), got.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect();
    let answered: BTreeSet<usize> = got.iter().map(|(number, _)| *number).collect();
    assert!(numbers.iter().all(|number| answered.contains(number)), "not all were tried: {said}");
    got
}
