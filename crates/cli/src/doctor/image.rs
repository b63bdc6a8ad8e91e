//! The agent image.

use agent_image::{CLAUDE_CODE_LABEL, SANDBOX_INIT_LABEL, versions};
use engine::{EngineError, ImageInfo};

use super::check::{Check, in_words};

const NAME: &str = "image";
const BUILD: &str = "build it with `claude-runner image build`";

/// Characters of an image's id that people compare.
const SHORT_ID: usize = 12;

/// `found` is the engine's answer, or `None` without an engine.
pub(super) fn look(reference: &str, found: Option<&Result<Option<ImageInfo>, EngineError>>) -> Check {
    let image = match found {
        None => {
            return Check::warn(NAME, "not known while the engine does not answer", "fix the engine first");
        }
        Some(Err(error)) => return Check::fail(NAME, in_words(error), "fix the engine first"),
        Some(Ok(None)) => return Check::fail(NAME, format!("{reference} is not there"), BUILD),
        Some(Ok(Some(image))) => image,
    };
    let id = image.id.trim_start_matches("sha256:");
    let reference = format!("{reference} ({})", id.get(..SHORT_ID).unwrap_or(id));
    let (pinned, ours) = (versions().default.to_string(), env!("CARGO_PKG_VERSION"));
    match (image.labels.get(CLAUDE_CODE_LABEL), image.labels.get(SANDBOX_INIT_LABEL)) {
        (Some(cli), Some(init)) if *cli == pinned && init == ours => {
            Check::ok(NAME, format!("{reference} with Claude Code {cli} and sandbox-init {init}, as pinned"))
        }
        (Some(cli), Some(init)) => Check::warn(
            NAME,
            format!(
                "{reference} has Claude Code {cli} and sandbox-init {init}; this program is made for {pinned} and {ours}"
            ),
            format!("{BUILD}, and custom images that are FROM it after that"),
        ),
        (Some(_) | None, None) | (None, Some(_)) => Check::warn(
            NAME,
            format!("{reference} does not say which Claude Code and sandbox-init are in it"),
            format!("{BUILD}, or base your own image on one that was built so"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use engine::{ImageInfo, Labels};

    use super::super::check::Status;
    use agent_image::{CLAUDE_CODE_LABEL, SANDBOX_INIT_LABEL, versions};

    fn status(labels: &[(&str, &str)]) -> Status {
        let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let image = ImageInfo { id: "sha256:0123456789abcdef".to_owned(), labels, size_bytes: 0, created: None };
        super::look("claude-runner", Some(&Ok(Some(image)))).status
    }

    #[test]
    fn versions_are_those_of_this_program() {
        let (cli, init) = (versions().default.to_string(), env!("CARGO_PKG_VERSION"));
        assert_eq!(status(&[(CLAUDE_CODE_LABEL, &cli), (SANDBOX_INIT_LABEL, init)]), Status::Ok);
        assert_eq!(status(&[(CLAUDE_CODE_LABEL, "0.0.1"), (SANDBOX_INIT_LABEL, init)]), Status::Warn);
        assert_eq!(status(&[(CLAUDE_CODE_LABEL, &cli), (SANDBOX_INIT_LABEL, "0.0.0")]), Status::Warn);
        assert_eq!(status(&[]), Status::Warn);
        assert_eq!(super::look("claude-runner", Some(&Ok(None))).status, Status::Fail);
    }
}
