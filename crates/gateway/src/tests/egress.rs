//! Tests the choice of addresses for a name, without dialling any.

use std::sync::Arc;
use std::time::Duration;

use domain::egress::{EgressRule, Via};
use network_access::{NetworkAccess, NetworkSettings};

use super::world::Names;
use crate::egress::{Egress, Refusal, Route, Target};
use crate::sandbox::SandboxRules;

fn egress(rules: &[&str], names: &[(&str, &str)]) -> Egress {
    egress_through(NetworkAccess::default(), rules, names)
}

fn egress_through(network: NetworkAccess, rules: &[&str], names: &[(&str, &str)]) -> Egress {
    Egress::new(
        rules.iter().map(|rule| rule.parse().unwrap()).collect(),
        Arc::new(Names::of(names)),
        "api.model.example".parse().ok(),
        network,
    )
}

async fn admit(egress: &Egress, host: &str, port: u16) -> Result<Route, Refusal> {
    admit_for(egress, &[], host, port).await
}

async fn admit_for(egress: &Egress, session: &[EgressRule], host: &str, port: u16) -> Result<Route, Refusal> {
    let rules = SandboxRules { operator: Vec::new(), caller: session.to_vec() };
    admit_by(egress, &rules, host, port).await
}

async fn admit_by(egress: &Egress, rules: &SandboxRules, host: &str, port: u16) -> Result<Route, Refusal> {
    let target = Target { host: host.parse().unwrap(), port, via: Via::Tunnel };
    egress.admit(rules, &target, Duration::from_mins(1)).await
}

fn addresses(list: &[&str]) -> Route {
    Route::Direct(list.iter().map(|address| address.parse().unwrap()).collect())
}

#[tokio::test]
async fn what_is_not_allowed_is_not_even_looked_up() {
    // The resolver knows the forbidden name. An unknown name would give another error.
    let egress = egress(&["other.example"], &[("a.example", "1.1.1.1")]);
    assert_eq!(admit(&egress, "a.example", 443).await, Err(Refusal::NotAllowed));
    assert_eq!(admit(&egress, "secret.attacker.example", 443).await, Err(Refusal::NotAllowed));
    assert_eq!(admit(&egress, "1.1.1.1", 443).await, Err(Refusal::NotAllowed));
    assert!(matches!(admit(&egress, "other.example", 443).await, Err(Refusal::Unresolved(_))));
}

#[tokio::test]
async fn a_wildcard_leads_to_the_internet_only() {
    let names = [
        ("good.example", "1.1.1.1"),
        ("in.example", "10.0.0.1"),
        ("self.example", "127.0.0.1"),
        ("mapped.example", "::ffff:127.0.0.1"),
        ("meta.example", "169.254.169.254"),
        ("both.example", "192.168.1.1"),
        ("both.example", "1.1.1.1"),
    ];
    let egress = egress(&["*.example"], &names);
    assert_eq!(admit(&egress, "good.example", 443).await, Ok(addresses(&["1.1.1.1:443"])));
    for name in ["in.example", "self.example", "mapped.example", "meta.example"] {
        assert_eq!(admit(&egress, name, 443).await, Err(Refusal::NotPublic), "{name}");
    }
    assert_eq!(
        admit(&egress, "both.example", 443).await,
        Ok(addresses(&["1.1.1.1:443"])),
        "only what was checked is dialled"
    );
}

#[tokio::test]
async fn a_name_may_lead_inside_and_never_to_metadata() {
    let egress = egress(
        &["in.example", "meta.example", "169.254.169.254:443", "*.example"],
        &[("in.example", "10.0.0.1"), ("meta.example", "169.254.169.254")],
    );
    assert_eq!(admit(&egress, "in.example", 443).await, Ok(addresses(&["10.0.0.1:443"])));
    assert_eq!(admit(&egress, "meta.example", 443).await, Err(Refusal::NotPublic));
    assert_eq!(admit(&egress, "169.254.169.254", 443).await, Ok(addresses(&["169.254.169.254:443"])));
}

#[tokio::test]
async fn a_sessions_rules_are_its_own() {
    let egress = egress(&[], &[("a.example", "1.1.1.1")]);
    let session = ["https://a.example".parse().unwrap()];
    assert_eq!(admit_for(&egress, &session, "a.example", 443).await, Ok(addresses(&["1.1.1.1:443"])));
    assert_eq!(admit(&egress, "a.example", 443).await, Err(Refusal::NotAllowed));
}

/// The operator's rules for one agent count like those for all agents.
#[tokio::test]
async fn an_agents_rules_are_judged_like_the_operators() {
    let names = [("in.example", "10.0.0.1"), ("meta.example", "169.254.169.254"), ("api.model.example", "1.1.1.1")];
    let egress = egress(&[], &names);
    let own: std::net::SocketAddr = "127.0.0.1:443".parse().unwrap();
    egress.protect(own);
    let operator = ["169.254.169.254:443", "in.example", "meta.example", "*.example", "127.0.0.1", "api.model.example"];
    let rules = SandboxRules { operator: operator.map(|rule| rule.parse().unwrap()).into(), caller: Vec::new() };
    assert_eq!(admit_by(&egress, &rules, "in.example", 443).await, Ok(addresses(&["10.0.0.1:443"])));
    assert_eq!(admit_by(&egress, &rules, "169.254.169.254", 443).await, Ok(addresses(&["169.254.169.254:443"])));
    assert_eq!(admit_by(&egress, &rules, "meta.example", 443).await, Err(Refusal::NotPublic));
    assert_eq!(admit_by(&egress, &rules, "127.0.0.1", 443).await, Err(Refusal::Protected));
    assert_eq!(admit_by(&egress, &rules, "api.model.example", 443).await, Err(Refusal::ModelApi));
    assert_eq!(admit(&egress, "in.example", 443).await, Err(Refusal::NotAllowed), "another agent's sandbox");
}

#[tokio::test]
async fn a_callers_url_never_leads_to_metadata() {
    let egress = egress(&[], &[("meta.example", "169.254.169.254"), ("in.example", "10.0.0.1")]);
    let session = ["http://169.254.169.254", "http://meta.example", "http://in.example", "http://10.0.0.2"]
        .map(|url| url.parse().unwrap());
    for host in ["169.254.169.254", "meta.example"] {
        assert_eq!(admit_for(&egress, &session, host, 80).await, Err(Refusal::NotPublic), "{host}");
    }
    assert_eq!(admit_for(&egress, &session, "in.example", 80).await, Ok(addresses(&["10.0.0.1:80"])));
    assert_eq!(admit_for(&egress, &session, "10.0.0.2", 80).await, Ok(addresses(&["10.0.0.2:80"])));
}

#[tokio::test]
async fn no_rule_opens_the_model_api() {
    let egress = egress(&["api.model.example", "*.model.example"], &[("api.model.example", "1.1.1.1")]);
    assert_eq!(admit(&egress, "api.model.example", 443).await, Err(Refusal::ModelApi));
    assert_eq!(admit(&egress, "API.Model.Example.", 443).await, Err(Refusal::ModelApi));
}

#[tokio::test]
async fn the_coordinator_and_the_engine_are_never_reached() {
    let rules = [
        "host.docker.internal:3456",
        "host.docker.internal:3457",
        "host.docker.internal:2375",
        "127.0.0.1:3456",
        "127.9.9.9:3456",
        "[::ffff:127.0.0.1]:3456",
        "self.example:3456",
        "127.0.0.1:2376",
        "10.255.255.1:2375",
        "198.51.100.7:3456",
    ];
    let egress = egress(&rules, &[("self.example", "127.0.0.1")]);
    egress.protect("0.0.0.0:3456".parse().unwrap());
    for (host, port) in [
        ("host.docker.internal", 3456),
        ("host.docker.internal", 2375),
        ("127.0.0.1", 3456),
        ("127.9.9.9", 3456),
        ("[::ffff:127.0.0.1]", 3456),
        ("self.example", 3456),
        ("127.0.0.1", 2376),
        ("10.255.255.1", 2375),
    ] {
        assert_eq!(admit(&egress, host, port).await, Err(Refusal::Protected), "{host}:{port}");
    }
    assert_eq!(admit(&egress, "host.docker.internal", 3457).await, Ok(addresses(&["127.0.0.1:3457"])));
    assert_eq!(
        admit(&egress, "198.51.100.7", 3456).await,
        Ok(addresses(&["198.51.100.7:3456"])),
        "another host's port"
    );
}

#[tokio::test]
async fn behind_a_proxy_the_same_addresses_are_refused() {
    let settings = NetworkSettings {
        https_proxy: Some("http://proxy.corp.example:3128".to_owned()),
        no_proxy: "direct.example".to_owned(),
        ..NetworkSettings::default()
    };
    let names = [
        ("a.example", "1.1.1.1"),
        ("inside.wild.example", "10.0.0.1"),
        ("both.wild.example", "1.1.1.1"),
        ("both.wild.example", "10.0.0.1"),
        ("direct.example", "1.1.1.2"),
    ];
    let rules = ["a.example", "unknown.example", "*.wild.example", "direct.example"];
    let egress = egress_through(NetworkAccess::new(&settings).unwrap(), &rules, &names);
    let is_proxied = |route| matches!(route, Ok(Route::Proxy(proxy)) if proxy.host == "proxy.corp.example");
    assert!(is_proxied(admit(&egress, "a.example", 443).await));
    assert!(is_proxied(admit(&egress, "unknown.example", 443).await), "the proxy may know it");
    assert_eq!(admit(&egress, "direct.example", 443).await, Ok(addresses(&["1.1.1.2:443"])));
    assert_eq!(admit(&egress, "inside.wild.example", 443).await, Err(Refusal::NotPublic));
    assert_eq!(admit(&egress, "both.wild.example", 443).await, Err(Refusal::NotPublic));
    assert!(matches!(admit(&egress, "unknown.wild.example", 443).await, Err(Refusal::Unresolved(_))));
    assert_eq!(admit(&egress, "other.example", 443).await, Err(Refusal::NotAllowed));
}
