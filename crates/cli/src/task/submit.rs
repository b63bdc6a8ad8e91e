//! Submits a task exactly once.

use std::time::Duration;

use api_types::request::TaskRequest;
use api_types::task::Accepted;
use reqwest::Method;
use uuid::Uuid;

use super::super::remote::{Answered, Remote, RemoteError};

/// The number of tries of a request whose answer was cut off.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// Returns the server's 202. If the connection is cut before it, for example by a restart, the task is not created twice.
pub(super) async fn submit(remote: &Remote, body: &TaskRequest) -> Result<Answered<Accepted>, RemoteError> {
    let key = Uuid::new_v4().to_string();
    let mut tries = 1;
    loop {
        let request = remote.request(Method::POST, &["task"], &[])?.header("idempotency-key", &key).json(body);
        match remote.json(request).await {
            // After a cut, a server that does not answer may be restarting.
            Err(RemoteError::Cut { .. }) if tries < TRIES => {}
            Err(RemoteError::NoServer { .. }) if (2..TRIES).contains(&tries) => {}
            answer => return answer,
        }
        tries += 1;
        tokio::time::sleep(PAUSE).await;
    }
}
