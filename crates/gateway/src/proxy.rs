//! Requests to outside hosts: CONNECT, and absolute-form requests for `http://` URLs.

use std::sync::{Arc, Mutex, PoisonError};

use domain::egress::{EgressChannel, EgressDecision, EgressRefusal, Host, Via};
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tracing::Instrument;

use super::answer::{Body, empty, in_words, proxy_error, shortened};
use super::egress::{Route, Target};
use super::headers::strip_hop_by_hop;
use super::sandbox::SandboxGateway;
use super::tunnel::{Outside, Tunnel};

/// Holds the tunnel of a CONNECT until the answer is sent; the connection then becomes the tunnel.
pub(super) type TunnelSlot = Mutex<Option<Tunnel>>;

/// `CONNECT host:port`
pub(super) async fn connect(
    sandbox: &SandboxGateway,
    mut request: Request<Incoming>,
    slot: &TunnelSlot,
) -> Response<Body> {
    let Some(authority) = request.uri().authority() else { return malformed("CONNECT needs `host:port`") };
    let target = match target(sandbox, authority, request.headers(), Via::Tunnel) {
        Ok(target) => target,
        Err(answer) => return *answer,
    };
    let (outside, _) = match dial(sandbox, &target).await {
        Ok(dialled) => dialled,
        Err(answer) => return *answer,
    };
    let tunnel = Tunnel { client: hyper::upgrade::on(&mut request), outside, bounds: sandbox.shared.bounds };
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    empty(StatusCode::OK)
}

/// Forwards `GET http://host/path` and the like over its own connection. Credentials in it are the agent's and pass. The agent
/// follows redirects itself.
pub(super) async fn forward(sandbox: &Arc<SandboxGateway>, request: Request<Incoming>) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    let (Some(scheme), Some(authority)) = (head.uri.scheme(), head.uri.authority()) else {
        return malformed("a request to the proxy needs a whole URL");
    };
    if *scheme != Scheme::HTTP {
        return malformed("the proxy takes `http://` URLs; others go through CONNECT");
    }
    let target = match target(sandbox, authority, &head.headers, Via::Plain) {
        Ok(target) => target,
        Err(answer) => return *answer,
    };
    // The Host is written in our spelling, even if the client sent none.
    let host = if target.port == 80 { target.host.to_string() } else { target.to_string() };
    let Ok(host) = HeaderValue::try_from(host) else { return malformed("the URL's host is not a host") };
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    strip_hop_by_hop(&mut head.headers);
    head.headers.insert(HOST, host);
    head.version = Version::HTTP_11;

    let (outside, route) = match dial(sandbox, &target).await {
        Ok(dialled) => dialled,
        Err(answer) => return *answer,
    };
    head.uri = match route {
        Route::Direct(_) => Uri::from(path),
        Route::Proxy(proxy) => {
            if let Some(authorization) = proxy.authorization {
                head.headers.insert(PROXY_AUTHORIZATION, authorization);
            }
            let uri = Uri::builder().scheme(Scheme::HTTP).authority(target.to_string()).path_and_query(path).build();
            let Ok(uri) = uri else { return malformed("the URL's host is not a host") };
            uri
        }
    };
    let over = outside.over(&sandbox.shared.bounds);
    let (mut sender, connection) = match http1::handshake(TokioIo::new(outside)).await {
        Ok(pair) => pair,
        Err(error) => return broken(&target, &error),
    };
    let closed = sandbox.closed.clone();
    let driver = async move {
        tokio::select! {
            // The error reaches the reader of the answer or of its body.
            _ = connection => {}
            () = over => {}
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

/// Reads the requested host and compares the Host header with it: a server that uses the header would otherwise answer for an
/// unchecked site. The error is boxed because an answer is large.
fn target(
    sandbox: &SandboxGateway,
    authority: &Authority,
    headers: &HeaderMap,
    via: Via,
) -> Result<Target, Box<Response<Body>>> {
    let text = authority.as_str();
    let refuse = |reason, why: &str| {
        sandbox.decided(EgressChannel::Proxy(via), text, EgressDecision::Refused(reason));
        Box::new(malformed(&format!("`{}` is not a host to connect to: {why}", shortened(text))))
    };
    let target = read_target(authority, via).map_err(|why| refuse(EgressRefusal::Malformed, &why))?;
    if !host_agrees(headers, &target) {
        return Err(refuse(EgressRefusal::OtherHost, "the Host header names another one"));
    }
    Ok(target)
}

fn read_target(authority: &Authority, via: Via) -> Result<Target, String> {
    let text = authority.as_str();
    if text.contains('@') {
        return Err("it has a user name in it".to_owned());
    }
    let host = authority.host().parse().map_err(|error: domain::egress::InvalidHost| error.to_string())?;
    let has_port = text.len() > authority.host().len();
    let port = match via {
        Via::Plain if !has_port => Some(80),
        Via::Plain | Via::Tunnel => authority.port_u16(),
    };
    let port = port.filter(|port| *port != 0).ok_or("it needs a port between 1 and 65535")?;
    Ok(Target { host, port, via })
}

/// Returns true if there is no Host, as in HTTP/1.0, or if it matches the target. Without a port it matches any port of the host,
/// because clients write a CONNECT's Host in both ways.
fn host_agrees(headers: &HeaderMap, target: &Target) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return !headers.contains_key(HOST) };
    let Some(authority) = host.to_str().ok().and_then(|text| text.parse::<Authority>().ok()) else { return false };
    let has_port = authority.as_str().len() > authority.host().len();
    !authority.as_str().contains('@')
        && authority.host().parse().is_ok_and(|host: Host| host == target.host)
        && (!has_port || authority.port_u16() == Some(target.port))
}

async fn dial(sandbox: &SandboxGateway, target: &Target) -> Result<(Outside, Route), Box<Response<Body>>> {
    let shared = &sandbox.shared;
    let timeout = shared.bounds.connect_timeout;
    let (channel, name) = (EgressChannel::Proxy(target.via), target.to_string());
    if !sandbox.task_quota.has_bytes() {
        sandbox.decided(channel, &name, EgressDecision::Refused(EgressRefusal::NoBytesLeft));
        return Err(Box::new(exhausted(&name, shared.bounds.outside_bytes)));
    }
    let rules = sandbox.rules();
    let route = match shared.egress.admit(&rules, target, timeout).await {
        Ok(route) => route,
        Err(refusal) => {
            sandbox.decided(channel, &name, EgressDecision::Refused(refusal.reason()));
            return Err(Box::new(refusal.answer(target)));
        }
    };
    sandbox.decided(channel, &name, EgressDecision::Allowed);
    let outside = Outside::dial(&route, target, timeout, sandbox).await;
    outside.map(|outside| (outside, route)).map_err(|error| Box::new(broken(target, &error)))
}

fn exhausted(name: &str, bytes: u64) -> Response<Body> {
    let sentence = format!("this task has exchanged {bytes} bytes with outside hosts, which is all that it may");
    let setting = Some("EGRESS_MAX_BYTES");
    proxy_error(StatusCode::FORBIDDEN, "egress_exhausted", &sentence, Some(name), setting)
}

fn malformed(sentence: &str) -> Response<Body> {
    proxy_error(StatusCode::BAD_REQUEST, "bad_request", sentence, None, None)
}

fn broken(target: &Target, error: &dyn std::error::Error) -> Response<Body> {
    let name = target.to_string();
    let sentence = format!("{name} is allowed, but could not be reached: {}", in_words(error));
    proxy_error(StatusCode::BAD_GATEWAY, "egress_unreachable", &sentence, Some(&name), None)
}
