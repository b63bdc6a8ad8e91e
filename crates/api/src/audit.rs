//! Writes every request's line in the audit log, and the `x-request-id` of its answer. It is the outermost layer, so that refused
//! requests are logged too.

mod subject;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use domain::access::KeyId;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use observe::audit;

pub(super) use subject::Subject;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The inner layers' finding about a request's caller, as an extension of the request. The audit line is written even
/// if they never answer, so a response could not carry it.
#[derive(Clone, Default)]
pub(super) struct AdmissionSlot(Arc<OnceLock<Admitted>>);

/// The way in which a request passed the check of keys.
pub(super) enum Admitted {
    /// The route needs no key. Load balancers poll such routes, so they have no audit line.
    Openly,
    /// The request has a caller. It can still be refused because its key lacks the right.
    As(Option<KeyId>),
}

impl AdmissionSlot {
    /// Records the finding. Only the first call counts.
    pub(super) fn admitted(&self, how: Admitted) {
        let _ = self.0.set(how);
    }
}

/// The reason why the perimeter refused a request, as an extension of the response.
#[derive(Clone)]
pub(super) struct Refused(pub(super) String);

/// Writes the line when the request is over.
pub(super) async fn record(mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let mut line = Line {
        began: Instant::now(),
        id: request_id(request.headers()),
        admission: AdmissionSlot::default(),
        peer: peer(&request),
        method: request.method().clone(),
        asked: Subject::of_path(route.as_deref(), request.uri().path()),
        route,
        refused: None,
        status: None,
    };
    request.extensions_mut().insert(line.admission.clone());
    let mut response = next.run(request).await;
    if let Ok(id) = HeaderValue::try_from(&line.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    if let Some(subject) = response.extensions().get::<Subject>() {
        line.asked = subject.clone();
    }
    line.refused = response.extensions().get::<Refused>().cloned();
    line.status = Some(response.status().as_u16());
    response
}

/// The audit line, written on drop: a caller that hangs up ends the handler, and its request is logged too.
struct Line {
    began: Instant,
    id: String,
    admission: AdmissionSlot,
    peer: IpAddr,
    method: Method,
    route: Option<String>,
    asked: Subject,
    refused: Option<Refused>,
    /// `None`: the caller was gone before the answer.
    status: Option<u16>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let key = match self.admission.0.get() {
            Some(Admitted::Openly) => return,
            Some(Admitted::As(key)) => key.as_ref(),
            None => None,
        };
        tracing::info!(
            target: audit::TARGET,
            {
                request.id = self.id,
                key.id = key.map(KeyId::as_str),
                peer = %self.peer,
                http.method = %self.method,
                http.route = self.route,
                session.id = self.asked.session,
                task.id = self.asked.task,
                http.status = self.status,
                refused = self.refused.as_ref().map(|Refused(why)| why.as_str()),
                duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            },
            "request"
        );
    }
}

/// Returns the peer's address. Only tests have listeners that do not give it.
pub(super) fn peer(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(address)| address.ip())
}

/// Returns the caller's own request id if it is a short word, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_word = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(is_word);
    given.map_or_else(|| format!("{:016x}", rand::random::<u64>()), str::to_owned)
}
