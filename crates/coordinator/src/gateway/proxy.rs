//! Requests to outside hosts: CONNECT, and absolute-form requests for `http://` URLs.

use std::sync::{Arc, Mutex, PoisonError};

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tracing::Instrument;

use super::answer::{Body, empty, in_words, proxy_error};
use super::egress::Target;
use super::headers::strip_hop_by_hop;
use super::rule::Via;
use super::sandbox::SandboxGateway;
use super::tunnel::{Outside, Tunnel};

/// Where a CONNECT leaves its tunnel, for the connection to become it once the answer is out.
pub(super) type TunnelSlot = Mutex<Option<Tunnel>>;

/// `CONNECT host:port`
pub(super) async fn connect(
    sandbox: &SandboxGateway,
    mut request: Request<Incoming>,
    slot: &TunnelSlot,
) -> Response<Body> {
    let target = match request.uri().authority().map(|authority| target(authority, None, Via::Tunnel)) {
        Some(Ok(target)) => target,
        Some(Err(answer)) => return *answer,
        None => return malformed("CONNECT needs `host:port`"),
    };
    let outside = match dial(sandbox, &target).await {
        Ok(outside) => outside,
        Err(answer) => return *answer,
    };
    let idle_timeout = sandbox.shared.bounds.idle_timeout;
    let tunnel = Tunnel { client: hyper::upgrade::on(&mut request), outside, idle_timeout };
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    empty(StatusCode::OK)
}

/// `GET http://host/path` and the like, sent on over a connection of its own. Credentials in it are the agent's and
/// pass; redirects are the agent's to follow.
pub(super) async fn forward(sandbox: &Arc<SandboxGateway>, request: Request<Incoming>) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    let (Some(scheme), Some(authority)) = (head.uri.scheme(), head.uri.authority()) else {
        return malformed("a request to the proxy needs a whole URL");
    };
    if *scheme != Scheme::HTTP {
        return malformed("the proxy takes `http://` URLs; others go through CONNECT");
    }
    let target = match target(authority, Some(80), Via::Plain) {
        Ok(target) => target,
        Err(answer) => return *answer,
    };
    // The client's own Host could name another site on the same server.
    let host = if target.port == 80 { target.host.to_string() } else { target.to_string() };
    let Ok(host) = HeaderValue::try_from(host) else { return malformed("the URL's host is not a host") };
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    strip_hop_by_hop(&mut head.headers);
    head.headers.insert(HOST, host);
    head.uri = Uri::from(path);
    head.version = Version::HTTP_11;

    let outside = match dial(sandbox, &target).await {
        Ok(outside) => outside,
        Err(answer) => return *answer,
    };
    let idle = outside.idle(sandbox.shared.bounds.idle_timeout);
    let (mut sender, connection) = match http1::handshake(TokioIo::new(outside)).await {
        Ok(pair) => pair,
        Err(error) => return broken(&target, &error),
    };
    let closed = sandbox.closed.clone();
    let driver = async move {
        tokio::select! {
            // The reason reaches whoever waits for the answer or its body.
            _ = connection => {}
            () = idle => {}
            () = closed.cancelled() => {}
        }
    };
    sandbox.shared.tracker.spawn(driver.in_current_span());
    match sender.send_request(Request::from_parts(head, body)).await {
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            strip_hop_by_hop(&mut head.headers);
            Response::from_parts(head, body.map_err(Into::into).boxed_unsync())
        }
        Err(error) => broken(&target, &error),
    }
}

/// Reads the host that is asked for. Boxed, as an answer is a large thing to hand back as an error.
fn target(authority: &Authority, default_port: Option<u16>, via: Via) -> Result<Target, Box<Response<Body>>> {
    let text = authority.as_str();
    let refuse = |why: &str| {
        tracing::info!(
            target: "audit",
            { egress.host = text, egress.decision = "refused: malformed" },
            "outside connection"
        );
        Box::new(malformed(&format!("`{text}` is not a host to connect to: {why}")))
    };
    if text.contains('@') {
        return Err(refuse("it has a user name in it"));
    }
    let host = authority.host().parse().map_err(|error: super::InvalidHost| refuse(&error.to_string()))?;
    let has_port = text.len() > authority.host().len();
    let port = if has_port { authority.port_u16() } else { default_port };
    let port = port.filter(|port| *port != 0).ok_or_else(|| refuse("it needs a port between 1 and 65535"))?;
    Ok(Target { host, port, via })
}

async fn dial(sandbox: &SandboxGateway, target: &Target) -> Result<Outside, Box<Response<Body>>> {
    let shared = &sandbox.shared;
    let timeout = shared.bounds.connect_timeout;
    let rules = sandbox.session_rules();
    let addresses = match shared.egress.admit(&rules, target, timeout).await {
        Ok(addresses) => addresses,
        Err(refusal) => return Err(Box::new(refusal.answer(target))),
    };
    Outside::dial(&addresses, timeout, &sandbox.pulse).await.map_err(|error| Box::new(broken(target, &error)))
}

fn malformed(sentence: &str) -> Response<Body> {
    proxy_error(StatusCode::BAD_REQUEST, "bad_request", sentence, None, None)
}

fn broken(target: &Target, error: &dyn std::error::Error) -> Response<Body> {
    let name = target.to_string();
    let sentence = format!("{name} is allowed, but could not be reached: {}", in_words(error));
    proxy_error(StatusCode::BAD_GATEWAY, "egress_unreachable", &sentence, Some(&name), None)
}
