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
