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
mod tests {
    use engine::Labels;

    use super::super::check::Status;
    use super::*;

    fn check(version: Version, wanted: WantedVersion, init: &str) -> Check {
        let labels = Labels::from([(SANDBOX_INIT_LABEL.to_owned(), init.to_owned())]);
        let image = ImageInfo { id: "sha256:0123456789abcdef".to_owned(), labels, size_bytes: 0, created: None };
        judge("claude-runner", &image, Ok(version), wanted)
    }

    #[test]
    fn the_version_is_compared_with_the_wanted_one_and_with_those_that_were_tested() {
        let ours = env!("CARGO_PKG_VERSION");
        let (default, minimum) = (versions().default, versions().minimum);
        let newer = Version::new(default.major + 1, 0, 0);
        let older = Version { patch: minimum.patch - 1, ..minimum };
        assert_eq!(check(default, WantedVersion::Default, ours).status, Status::Ok);
        assert_eq!(check(default, WantedVersion::Latest, ours).status, Status::Ok);
        assert_eq!(check(default, WantedVersion::Default, "0.0.0").status, Status::Warn);
        assert_eq!(check(minimum, WantedVersion::Exact(minimum), ours).status, Status::Ok);

        let other = check(minimum, WantedVersion::Default, ours);
        assert_eq!(other.status, Status::Warn);
        assert!(other.detail.contains(&format!("the default of this release is {default}")), "{}", other.detail);
        let other = check(default, WantedVersion::Exact(newer), ours);
        assert!(other.detail.contains(&format!("CLAUDE_VERSION is {newer}")), "{}", other.detail);

        let untested = check(newer, WantedVersion::Exact(newer), ours);
        assert_eq!(untested.status, Status::Warn);
        assert!(untested.detail.contains("untested"), "{}", untested.detail);
        let old = check(older, WantedVersion::Default, ours);
        assert_eq!(old.status, Status::Fail);
        assert!(old.detail.contains(&minimum.to_string()), "{}", old.detail);
    }

    #[tokio::test]
    async fn the_program_is_asked_and_not_the_label() {
        let engine = engine::FakeEngine::new(&[]);
        let labels = [(agent_image::CLAUDE_CODE_LABEL, "9.9.9"), (SANDBOX_INIT_LABEL, env!("CARGO_PKG_VERSION"))];
        engine.add_image("agent", labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        engine.says(&format!("{} (Claude Code)\n", versions().default));
        let found = engine.image("agent").await;
        let check = look(&engine, "agent", Some(&found), WantedVersion::Default).await;
        assert_eq!(check.status, Status::Ok, "{}", check.detail);

        engine.says("no such program\n");
        let check = look(&engine, "agent", Some(&found), WantedVersion::Default).await;
        assert_eq!(check.status, Status::Fail);
        assert!(check.detail.contains("no such program"), "{}", check.detail);
        assert_eq!(look(&engine, "agent", Some(&Ok(None)), WantedVersion::Default).await.status, Status::Fail);
    }
}
