//! A response's body that keeps something for as long as it is read.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};

/// The size of the pieces in which a body is sent. hyper takes the next piece when it has sent about one, and drops the body with
/// its last piece: in one piece, a large body would be released before any of it is read.
const PIECE_BYTES: usize = 16 * 1024;

pub(super) struct Guarded<G> {
    body: Body,
    /// The part of a large frame that is still to be sent.
    rest: Bytes,
    _guard: G,
}

impl<G> Guarded<G> {
    pub(super) fn new(body: Body, guard: G) -> Self {
        Guarded { body, rest: Bytes::new(), _guard: guard }
    }
}

impl<G: Unpin> hyper::body::Body for Guarded<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) if data.len() > PIECE_BYTES => self.rest = data,
                Some(Ok(Ok(data))) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Ok(Err(frame))) => return Poll::Ready(Some(Ok(frame))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let piece = if self.rest.len() > PIECE_BYTES {
            self.rest.split_to(PIECE_BYTES)
        } else {
            // A copy, because a piece keeps the memory of the whole frame.
            Bytes::copy_from_slice(&std::mem::take(&mut self.rest))
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        // The upper bound first, because it may not be below the lower one.
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use http_body_util::BodyExt as _;
    use hyper::body::Body as _;

    use super::{Guarded, PIECE_BYTES};

    #[tokio::test]
    async fn a_guard_is_held_until_the_last_piece_of_a_large_body_is_taken() {
        let (text, guard) = (vec![7; 3 * PIECE_BYTES + 1], Arc::new(()));
        let mut body = Guarded::new(Body::from(text.clone()), Arc::clone(&guard));
        let mut read = Vec::new();
        while !body.is_end_stream() {
            assert_eq!(body.size_hint().exact(), Some((text.len() - read.len()) as u64));
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE_BYTES);
            read.extend_from_slice(&piece);
        }
        assert_eq!((read, Arc::strong_count(&guard)), (text, 2));
        drop(body);
        assert_eq!(Arc::strong_count(&guard), 1);
    }
}
