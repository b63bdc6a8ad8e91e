//! The agent image, and the Claude Code in it.

use agent_image::{
    AskError, AskedIn, SANDBOX_INIT_LABEL, Support, WantedVersion, ask_version, trusts_authorities, versions,
};
use domain::claude_code::Version;
use engine::{Engine, EngineError, ImageInfo};
use network_access::NetworkAccess;

use super::check::{Check, in_words};

const NAME: &str = "image";
const BUILD: &str = "build it with `claude-runner image build`";
const BUILD_ALL: &str = "build it with `claude-runner image build`, and custom images that are FROM it after that";

/// Characters of an image's id that people compare.
const SHORT_ID: usize = 12;

/// `found` is the engine's answer, or `None` without an engine. The program in the image is asked for its version.
pub(super) async fn look(
    engine: &dyn Engine,
    reference: &str,
    found: Option<&Result<Option<ImageInfo>, EngineError>>,
    wanted: WantedVersion,
) -> Check {
    match found {
        None => Check::warn(NAME, "not known while the engine does not answer", "fix the engine first"),
        Some(Err(error)) => Check::fail(NAME, in_words(error), "fix the engine first"),
        Some(Ok(None)) => Check::fail(NAME, format!("{reference} is not there"), BUILD),
        Some(Ok(Some(image))) => {
            let answer = ask_version(engine, &image.id, AskedIn::default()).await;
            judge(reference, image, answer, wanted)
        }
    }
}

/// `None` without CA_FILE and without an image.
pub(super) fn authorities(image: Option<&ImageInfo>, network: &NetworkAccess) -> Option<Check> {
    const NAME: &str = "image authorities";
    let (image, file) = (image?, network.ca_file()?.display());
    Some(if trusts_authorities(&image.labels, network) {
        Check::ok(NAME, format!("sandboxes trust the certificates of CA_FILE {file}"))
    } else {
        let detail =
            format!("the image was built without the certificates of CA_FILE {file}, so sandboxes do not trust them");
        Check::warn(NAME, detail, BUILD_ALL)
    })
}

fn judge(reference: &str, image: &ImageInfo, answer: Result<Version, AskError>, wanted: WantedVersion) -> Check {
    let id = image.id.trim_start_matches("sha256:");
    let reference = format!("{reference} ({})", id.get(..SHORT_ID).unwrap_or(id));
    let version = match answer {
        Ok(version) => version,
        Err(AskError::Engine(error)) => return Check::fail(NAME, in_words(&error), "fix the engine first"),
        Err(AskError::NoAnswer { reason, .. } | AskError::NotStarted { reason, .. }) => {
            let detail = format!("{reference} has no usable Claude Code: `claude --version` failed: {reason}");
            return Check::fail(NAME, detail, BUILD_ALL);
        }
    };
    let ours = env!("CARGO_PKG_VERSION");
    let init = image.labels.get(SANDBOX_INIT_LABEL).map(String::as_str);
    let with_init = init.map_or("a sandbox-init of unknown version".to_owned(), |init| format!("sandbox-init {init}"));
    let detail = format!("{reference} with Claude Code {version} and {with_init}");
    let known = versions();
    match known.support(version) {
        Support::TooOld => {
            let minimum = known.minimum;
            Check::fail(NAME, format!("{detail}; the oldest Claude Code that can be used is {minimum}"), BUILD_ALL)
        }
        _ if init != Some(ours) => {
            Check::warn(NAME, format!("{detail}; this program is made for sandbox-init {ours}"), BUILD_ALL)
        }
        Support::Tested | Support::Untested if wanted.number().is_some_and(|wanted| wanted != version) => {
            let (wanted, source) = match wanted {
                WantedVersion::Exact(wanted) => (wanted, "CLAUDE_VERSION is"),
                WantedVersion::Default | WantedVersion::Latest => (known.default, "the default of this release is"),
            };
            let remedy = format!("{BUILD_ALL}, or set CLAUDE_VERSION={version} to keep it");
            Check::warn(NAME, format!("{detail}; {source} {wanted}"), remedy)
        }
        Support::Untested => {
            let tested = known.tested_list();
            Check::warn(
                NAME,
                format!("{detail}; this Claude Code is untested: this release was tested with {tested}"),
                "watch the first tasks, or unset CLAUDE_VERSION and build the image again",
            )
        }
        Support::Tested => Check::ok(NAME, format!("{detail}, tested with this release")),
    }
}

#[cfg(test)]
mod tests;
