//! Request bodies: JSON, read with errors that name the field.

mod encoding;

use std::error::Error;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use bytes::BytesMut;
use domain::plain::of_serde;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use self::encoding::Encoding;
use super::{ApiError, MAX_BODY_BYTES, fields};
use crate::access::{CallerShares, Share};

/// The time limits of reading a body.
#[derive(Clone, Copy)]
struct Patience {
    /// The time limit between two pieces.
    idle: Duration,
    /// The time limit of the whole body, however slowly it arrives.
    total: Duration,
}

/// Above this size, a body is parsed on a thread for blocking work. Smaller ones take less than a millisecond.
const INLINE_BYTES: usize = 64 * 1024;

/// At this limit, the largest body may arrive at 35 KB/s.
const PATIENCE: Patience = Patience { idle: Duration::from_secs(15), total: Duration::from_mins(2) };

/// The body, received within the limits of its caller and in time, and decompressed.
pub(super) struct RawBody {
    pub(super) bytes: Bytes,
    share: Option<Share>,
}

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let encoding = Encoding::of(request.headers())?;
        // A compressed body may become as large as any other.
        let length = request.body().size_hint().exact().filter(|_| encoding == Encoding::Identity);
        let share = match request.extensions().get::<CallerShares>() {
            Some(shares) => Some(shares.reserve(length).await?),
            None => None,
        };
        let received = read_in_time(request.into_body(), PATIENCE).await?;
        let bytes = match encoding {
            Encoding::Identity => encoding.decode(received)?,
            // A thousand compressed bytes may be a million.
            Encoding::Gzip => blocking(move || encoding.decode(received)).await?,
        };
        Ok(RawBody { bytes, share })
    }
}

async fn read_in_time(body: Body, patience: Patience) -> Result<Bytes, ApiError> {
    let body = Limited::new(body, MAX_BODY_BYTES);
    let read = tokio::time::timeout(patience.total, read(body, patience.idle)).await;
    read.unwrap_or_else(|_| Err(ApiError::body_timeout()))
}

async fn read(mut body: Limited<Body>, idle: Duration) -> Result<Bytes, ApiError> {
    let mut bytes = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(idle, body.frame()).await.map_err(|_| ApiError::body_timeout())?;
        match frame {
            None => return Ok(bytes.freeze()),
            Some(Ok(frame)) => bytes.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default()),
            Some(Err(error)) if is_too_large(error.as_ref()) => return Err(ApiError::too_large(MAX_BODY_BYTES)),
            Some(Err(_)) => return Err(ApiError::invalid("the body could not be read to its end")),
        }
    }
}

fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    // The body exceeds our bound here, or the router's bound for all bodies.
    std::iter::successors(Some(error), |&cause| cause.source()).any(<dyn std::error::Error>::is::<LengthLimitError>)
}

impl RawBody {
    /// Drops the body. Its room stays reserved for what was made of it, until the share is dropped.
    pub(super) fn into_share(self) -> Option<Share> {
        self.share
    }

    /// The SHA-256 of the body.
    pub(super) async fn sha256(&self) -> Result<[u8; 32], ApiError> {
        if self.bytes.len() <= INLINE_BYTES {
            return Ok(Sha256::digest(&self.bytes).into());
        }
        let bytes = self.bytes.clone();
        blocking(move || Ok(Sha256::digest(&bytes).into())).await
    }

    /// Decodes JSON. An error names the field and what it may be.
    pub(super) async fn json<T: DeserializeOwned + Send + 'static>(&self) -> Result<T, ApiError> {
        if self.bytes.len() <= INLINE_BYTES {
            return parse(&self.bytes);
        }
        let bytes = self.bytes.clone();
        blocking(move || parse(&bytes)).await
    }
}

/// Does work that takes too long for a thread on which other requests run.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(ApiError::internal(&error)))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // A structure would be read from a list too, by its order.
    if bytes.trim_ascii().starts_with(b"[") {
        return Err(ApiError::invalid("the body must be an object, not a list"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut unknown: Option<String> = None;
    let mut note = |path: serde_ignored::Path<'_>| {
        unknown.get_or_insert_with(|| path.to_string());
    };
    let noting = serde_ignored::Deserializer::new(&mut json, &mut note);
    let value = serde_path_to_error::deserialize(noting).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        match cause.classify() {
            serde_json::error::Category::Data if path != "." => ApiError::invalid(format!("{path}: {}", words(&cause))),
            serde_json::error::Category::Data => ApiError::invalid(words(&cause)),
            _ => ApiError::invalid(format!("the body is not JSON: {cause}")),
        }
    })?;
    json.end().map_err(|error| ApiError::invalid(format!("the body is not JSON: {error}")))?;
    fields::check::<T>("field", unknown.as_deref())?;
    Ok(value)
}

/// The message without its place in the body, which the field's name replaces.
pub(super) fn words(error: &serde_json::Error) -> String {
    let message = error.to_string();
    of_serde("field", message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::{Body, Bytes};
    use axum::response::IntoResponse as _;
    use futures::{StreamExt as _, stream};

    use super::{PATIENCE, Patience, read_in_time};

    type Piece = Result<Bytes, std::io::Error>;

    const LONG: Duration = Duration::from_hours(1);
    const SHORT: Duration = Duration::from_millis(50);

    async fn status(body: Body, patience: Patience) -> u16 {
        read_in_time(body, patience).await.err().map_or(200, |error| error.into_response().status().as_u16())
    }

    #[tokio::test]
    async fn a_body_that_stops_is_cut() {
        let first = stream::iter([Piece::Ok(Bytes::from_static(b"{"))]);
        let body = Body::from_stream(first.chain(stream::pending()));
        assert_eq!(status(body, Patience { idle: SHORT, total: LONG }).await, 408);
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_cut() {
        let drip = stream::repeat(()).then(|()| async {
            tokio::time::sleep(SHORT / 10).await;
            Piece::Ok(Bytes::from_static(b" "))
        });
        assert_eq!(status(Body::from_stream(drip), Patience { idle: LONG, total: SHORT }).await, 408);
    }

    #[tokio::test]
    async fn a_body_that_says_no_length_is_cut_at_the_limit() {
        let piece = Bytes::from(vec![b' '; 64 * 1024]);
        let endless = stream::repeat(()).map(move |()| Piece::Ok(piece.clone()));
        assert_eq!(status(Body::from_stream(endless), PATIENCE).await, 413);
    }
}
