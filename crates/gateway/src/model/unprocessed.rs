//! Errors which prove that the API has not processed a request, so that it costs nothing and may be sent again.

use std::error::Error;

use h2::Reason;

pub(super) fn is_unprocessed(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_builder() || is_unprocessed_by(error)
}

/// Returns true if a cause of the error is such a proof.
fn is_unprocessed_by(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        // The connection ended before hyper took the request from its queue.
        let was_queued = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
        if was_queued || cause.downcast_ref::<h2::Error>().is_some_and(is_refusal) {
            return true;
        }
        next = cause.source();
    }
    false
}

/// HTTP/2 names the requests that a server has not processed (RFC 9113, section 8.7). After a graceful GOAWAY, only those have an error.
fn is_refusal(error: &h2::Error) -> bool {
    let is = |reason| error.is_remote() && error.reason() == Some(reason);
    error.is_reset() && is(Reason::REFUSED_STREAM) || error.is_go_away() && is(Reason::NO_ERROR)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;
    use http_body_util::Empty;
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use tokio_util::task::TaskTracker;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the request failed")]
    struct Failed(#[source] Box<dyn Error + Send + Sync>);

    /// Returns the error of a request over HTTP/2 that the server resets.
    async fn reset_with(reason: Reason) -> h2::Error {
        let (client, server) = tokio::io::duplex(64 << 10);
        let tracker = TaskTracker::new();
        tracker.spawn(async move {
            let mut connection = h2::server::handshake(server).await.unwrap();
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            respond.send_reset(reason);
            while connection.accept().await.is_some() {}
        });
        let (sender, connection) = h2::client::handshake(client).await.unwrap();
        tracker.spawn(async move { drop(connection.await) });
        let request = Request::post("http://model.example/").body(()).unwrap();
        let (answer, _) = sender.ready().await.unwrap().send_request(request, true).unwrap();
        answer.await.unwrap_err()
    }

    #[tokio::test]
    async fn a_stream_that_the_server_refused_was_not_processed() {
        for (reason, expected) in
            [(Reason::REFUSED_STREAM, true), (Reason::INTERNAL_ERROR, false), (Reason::CANCEL, false)]
        {
            let error = Failed(Box::new(reset_with(reason).await));
            assert_eq!(is_unprocessed_by(&error), expected, "{reason:?}");
        }
    }

    #[tokio::test]
    async fn a_request_that_never_left_its_queue_was_not_processed() {
        let (client, server) = tokio::io::duplex(1024);
        let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(client)).await.unwrap();
        drop(connection);
        let error = sender.send_request(Request::new(Empty::new())).await.unwrap_err();
        assert!(is_unprocessed_by(&Failed(Box::new(error))));
        drop(server);
    }

    #[tokio::test]
    async fn a_request_that_left_may_have_been_processed() {
        let (client, server) = tokio::io::duplex(1024);
        let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(client)).await.unwrap();
        TaskTracker::new().spawn(async move { drop(connection.await) });
        let mut asking = Box::pin(sender.send_request(Request::new(Empty::new())));
        let mut server = server;
        let mut first = [0];
        tokio::select! {
            _ = &mut asking => panic!("nobody answers"),
            read = tokio::io::AsyncReadExt::read(&mut server, &mut first) => assert_eq!(read.unwrap(), 1),
        }
        drop(server);
        assert!(!is_unprocessed_by(&Failed(Box::new(asking.await.unwrap_err()))));
    }
}
