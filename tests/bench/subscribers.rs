//! Clients of event streams.

use futures::StreamExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(crate) struct Subscriber(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Subscriber {
    /// Opens a stream and, on our server, waits for the `connected` frame.
    pub(crate) async fn open(url: &str) -> Self {
        let mut subscriber = Self::connect(url).await;
        subscriber.next().await;
        subscriber
    }

    pub(crate) async fn connect(url: &str) -> Self {
        Subscriber(connect_async(url).await.unwrap().0)
    }

    pub(crate) async fn next(&mut self) -> Utf8Bytes {
        loop {
            match self.0.next().await.expect("the stream ended").unwrap() {
                Message::Text(text) => return text,
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn until(&mut self, fits: impl Fn(&str) -> bool) {
        while !fits(&self.next().await) {}
    }
}
