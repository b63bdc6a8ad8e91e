//! Pull requests.

use serde::{Deserialize, Serialize};

/// A pull request as the forge describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    pub number: u64,
    /// The id of the pull request in the forge's GraphQL API.
    pub node_id: String,
    pub html_url: String,
    pub draft: bool,
    pub state: String,
}
