//! The HTTP client that exports spans. It is the same client as in the rest of the server, called from a thread without
//! a runtime.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use network_access::NetworkAccess;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

/// The time limit of one attempt to export a batch.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum size of a collector's response that is read. Collectors answer with a few bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    runtime: Handle,
    tracker: TaskTracker,
    /// The last attempt failed and was logged.
    fails: AtomicBool,
}

impl Client {
    pub(super) fn new(network: &NetworkAccess) -> Result<Self, reqwest::Error> {
        let http = network.client().timeout(REQUEST_TIMEOUT).build()?;
        let (runtime, tracker) = (Handle::current(), TaskTracker::new());
        Ok(Client { http, runtime, tracker, fails: AtomicBool::new(false) })
    }

    /// Logs a change of the outcome. A collector that is down for a day is one line.
    fn report(&self, outcome: Result<u16, &str>) {
        let fails = !matches!(outcome, Ok(200..300));
        if self.fails.swap(fails, Ordering::Relaxed) == fails {
            return;
        }
        match outcome {
            Ok(status) if fails => warn!(status, "the collector rejects traces; they are lost"),
            Ok(_) => info!("the collector accepts traces again"),
            Err(error) => warn!(error, "the collector is unreachable; traces are lost"),
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, request) = (self.http.clone(), request.try_into()?);
        let sent = self.tracker.spawn_on(async move { send(&http, request).await }, &self.runtime).await;
        let outcome: Result<_, HttpError> = match sent {
            Ok(answer) => answer.map_err(|error| error.without_url().into()),
            Err(ended) => Err(ended.into()),
        };
        match &outcome {
            Ok(answer) => self.report(Ok(answer.status().as_u16())),
            Err(error) => self.report(Err(&domain::error_chain(error.as_ref()))),
        }
        outcome
    }
}

async fn send(http: &reqwest::Client, request: reqwest::Request) -> Result<Response<Bytes>, reqwest::Error> {
    let mut response = http.execute(request).await?;
    let mut body = Vec::new();
    while body.len() < MAX_ANSWER_BYTES
        && let Some(piece) = response.chunk().await?
    {
        body.extend_from_slice(&piece);
    }
    let mut answer = Response::new(body.into());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    Ok(answer)
}
