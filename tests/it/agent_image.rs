//! Images of a test's own.

pub(crate) use crate::support::image::TestImage;

impl TestImage {
    /// The agent image with another entry point.
    pub(crate) async fn with_entry_point(case: &str, instruction: &str) -> Self {
        Self::build(case, instruction, &[]).await
    }
}
