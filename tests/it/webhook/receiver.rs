//! An HTTP server that receives webhooks and answers as configured.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::bounds::within;

/// The value of WEBHOOK_SECRET.
pub(crate) const SECRET: &str = "whsec_b3BlcmF0b3JzLXNlY3JldC1mb3Itd2ViaG9va3M=";

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    Redirect(String),
    /// Never answers.
    Silence,
}

pub(crate) struct Receiver {
    address: SocketAddr,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    received: mpsc::Receiver<Received>,
}

#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Clone)]
struct ReceiverState {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    sender: mpsc::Sender<Received>,
}

impl Receiver {
    /// Starts a receiver that accepts everything until [`Receiver::reply`] changes that.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::channel(64);
        let replies = Arc::<Mutex<VecDeque<Reply>>>::default();
        let router = Router::new().fallback(take).with_state(ReceiverState { replies: Arc::clone(&replies), sender });
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        Receiver { address, replies, received }
    }

    /// The value for WEBHOOK_ALLOW.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/hook?token=in-the-query", self.origin())
    }

    /// Answers the next requests with `replies`. Later ones are accepted.
    pub(crate) fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.replies.lock().unwrap().extend(replies);
    }

    pub(crate) async fn next(&mut self) -> Received {
        within("a webhook comes", self.received.recv()).await.unwrap()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// The number of received requests that were not read yet.
    pub(crate) fn len(&self) -> usize {
        self.received.len()
    }
}

async fn take(State(state): State<ReceiverState>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let reply = state.replies.lock().unwrap().pop_front().unwrap_or(Reply::Status(204));
    state.sender.send(Received { path: uri.path().to_owned(), headers, body }).await.unwrap();
    match reply {
        Reply::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Reply::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response(),
        Reply::Silence => std::future::pending().await,
    }
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", self.headers)).to_str().unwrap()
    }

    /// Returns the body of a webhook that was signed recently, with only this secret.
    #[track_caller]
    pub(crate) fn verified(&self, secret: &str) -> Value {
        let (id, timestamp) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let content = [format!("{id}.{timestamp}.").as_bytes(), &self.body].concat();
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let expected = format!("v1,{}", STANDARD.encode(hmac_sha256(&key, &content)));
        assert_eq!(self.header("webhook-signature"), expected);
        let age = jiff::Timestamp::now().as_second() - timestamp.parse::<i64>().unwrap();
        assert!((0..300).contains(&age), "{age} s");
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Implements RFC 2104 independently of the server's library.
fn hmac_sha256(key: &[u8], content: &[u8]) -> Vec<u8> {
    assert!(key.len() <= 64);
    let padded = |pad: u8| (0..64).map(|i| key.get(i).copied().unwrap_or(0) ^ pad).collect::<Vec<u8>>();
    let inner = Sha256::digest([padded(0x36).as_slice(), content].concat());
    Sha256::digest([padded(0x5c).as_slice(), &inner].concat()).to_vec()
}
