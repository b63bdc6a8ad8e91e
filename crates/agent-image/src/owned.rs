//! The images that this crate has made. It replaces no others.

use engine::{Engine, ImageInfo};

use super::{CLAUDE_CODE_LABEL, CONTENT_LABEL, ImageError, SANDBOX_INIT_LABEL, authorities};

/// The labels that a build of this crate sets in its last steps.
const LABELS: [&str; 4] = [CONTENT_LABEL, CLAUDE_CODE_LABEL, SANDBOX_INIT_LABEL, authorities::LABEL];

/// Returns the image that has the name so far. One that this crate has not made is an error.
pub(super) async fn previous(engine: &dyn Engine, name: &str) -> Result<Option<ImageInfo>, ImageError> {
    let Some(image) = engine.image(name).await? else { return Ok(None) };
    let labelled = image.labels.contains_key(CONTENT_LABEL);
    // An image that is built from one of ours inherits its labels, but its last steps are its own.
    let set_by_us = |step: &String| LABELS.iter().any(|label| step.contains(label));
    let ours = labelled && engine.image_history(&image.id).await?.first().is_none_or(set_by_us);
    if ours { Ok(Some(image)) } else { Err(ImageError::Foreign(name.to_owned())) }
}
