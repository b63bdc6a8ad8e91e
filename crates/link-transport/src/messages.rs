use bytes::Bytes;
use futures::{Sink, SinkExt, Stream, StreamExt};
use thiserror::Error;
use tokio_tungstenite::tungstenite::{self, Message};

/// The reason why a connection cannot be used any more.
#[derive(Debug, Error)]
pub enum TransportError {
    #[error("the connection broke: {0}")]
    Broken(#[from] tungstenite::Error),
    #[error("the other end closed the connection")]
    Closed,
    #[error("a message arrived that is not binary")]
    NotBinary,
}

pub async fn send(
    sink: &mut (impl Sink<Message, Error = tungstenite::Error> + Unpin),
    message: Bytes,
) -> Result<(), TransportError> {
    Ok(sink.send(Message::Binary(message)).await?)
}

/// Returns the next binary message. The library answers pings. Cancel-safe.
pub async fn next(
    stream: &mut (impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin),
) -> Result<Bytes, TransportError> {
    loop {
        match stream.next().await {
            Some(Ok(Message::Binary(bytes))) => return Ok(bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Text(_) | Message::Frame(_))) => return Err(TransportError::NotBinary),
            Some(Ok(Message::Close(_))) | None => return Err(TransportError::Closed),
            Some(Err(error)) => return Err(error.into()),
        }
    }
}
