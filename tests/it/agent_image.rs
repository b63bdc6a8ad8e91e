//! Images that a test builds.

pub(crate) use crate::support::image::TestImage;

impl TestImage {
    /// Builds the agent image with another entry point.
    pub(crate) async fn with_entry_point(case: &str, instruction: &str) -> Self {
        Self::build(case, instruction, &[]).await
    }

    /// Builds an image from another one, with this instruction.
    pub(crate) async fn build_from(base: &str, case: &str, instruction: &str) -> Self {
        Self::build_on(base, case, instruction, &[]).await
    }
}
