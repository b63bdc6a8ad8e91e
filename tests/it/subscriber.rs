//! A client of a session's event stream.

use futures::StreamExt as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::bounds::within;

/// Reads on request and keeps the events. The first frame, `connected`, is kept separately.
pub(crate) struct Subscriber {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) connected: Value,
    pub(crate) events: Vec<Value>,
}

impl Subscriber {
    pub(crate) async fn open(url: &str) -> Self {
        let (socket, _) = connect_async(url).await.unwrap();
        let mut subscriber = Subscriber { socket, connected: Value::Null, events: Vec::new() };
        subscriber.connected = subscriber.frame().await.expect("closed at once");
        assert_eq!(subscriber.connected["type"], "connected");
        subscriber
    }

    /// Reads this many events.
    pub(crate) async fn read(&mut self, count: usize) {
        let end = self.events.len() + count;
        while self.events.len() < end {
            let event = within("the next event", self.frame()).await.expect("the stream closed");
            self.events.push(event);
        }
    }

    /// Reads up to the next event of this type.
    pub(crate) async fn until(&mut self, kind: &str) -> Value {
        self.until_event(kind, |event| event["type"] == kind).await
    }

    /// Reads up to the end of a task, however it ends.
    pub(crate) async fn until_end_of(&mut self, task: &Value) -> Value {
        const ENDS: [&str; 3] = ["task_complete", "task_failed", "abort"];
        self.until_event("the end of the task", |event| {
            event["taskId"] == *task && ENDS.contains(&event["type"].as_str().unwrap())
        })
        .await
    }

    pub(crate) async fn until_event(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let event = self.frame().await.unwrap_or_else(|| panic!("the stream closed before {what}"));
                self.events.push(event.clone());
                if fits(&event) {
                    return event;
                }
            }
        };
        let what = format!("event {what}");
        within(&what, found).await
    }

    /// Reads up to the end of the stream and returns its close code.
    pub(crate) async fn until_closed(&mut self) -> u16 {
        let closed = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                    Some(Ok(Message::Text(text))) => self.events.push(serde_json::from_str(&text).unwrap()),
                    Some(Ok(_)) => {}
                    other => panic!("the stream broke: {other:?}"),
                }
            }
        };
        within("the stream is closed", closed).await
    }

    /// Returns the types of the events read so far, in order.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        self.events.iter().map(|event| event["type"].as_str().unwrap()).collect()
    }

    pub(crate) fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["type"] == kind).collect()
    }

    /// Asserts that the events read so far have consecutive numbers from `first` on.
    #[track_caller]
    pub(crate) fn assert_numbered_from(&self, first: u64) {
        let numbers: Vec<u64> = self.events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        let expected: Vec<u64> = (first..).take(numbers.len()).collect();
        assert_eq!(numbers, expected);
    }

    async fn frame(&mut self) -> Option<Value> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_))) | None => return None,
                Some(Ok(_)) => {}
                Some(Err(error)) => panic!("the stream broke: {error}"),
            }
        }
    }
}
