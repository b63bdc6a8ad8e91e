use std::fs;

use engine::{ContainerId, FakeEngine, Operation};

use super::*;

/// A static program for this machine that passes the checks: a header and no segments.
fn program() -> Vec<u8> {
    let mut program = b"\x7fELF\x02\x01".to_vec();
    program.resize(64, 0);
    program[0x12] = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
    program
}

fn default_package(architecture: &str) -> Package {
    versions().tested_package(versions().default, architecture).unwrap().unwrap()
}

fn options(directory: &tempfile::TempDir) -> BuildOptions {
    let sandbox_init = directory.path().join("sandbox-init");
    fs::write(&sandbox_init, program()).unwrap();
    BuildOptions {
        repository: false,
        tag: "agent".to_owned(),
        repository_tag: "claude-runner-repository".to_owned(),
        base_image: "debian:bookworm-slim".to_owned(),
        claude: WantedVersion::Default,
        claude_package: None,
        sandbox_init: Some(sandbox_init),
        cache_dir: None,
        network: NetworkAccess::default(),
        no_cache: false,
    }
}

#[tokio::test]
async fn an_image_made_from_the_same_is_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(&directory);
    let engine = FakeEngine::new(&["debian:bookworm-slim"]);
    let base = engine.image("debian:bookworm-slim").await.unwrap();
    let package = default_package(std::env::consts::ARCH);
    let sandbox_init = SandboxInit::load(options.sandbox_init.as_deref(), std::env::consts::ARCH).unwrap();
    engine.add_image(
        "agent",
        labels(content_hash(&package, &sandbox_init, &options, base.as_ref()), &package, &options.network),
    );
    let id = engine.image("agent").await.unwrap().unwrap().id;

    let outcome = build(&engine, &options, |progress| panic!("{progress:?}")).await.unwrap();

    assert_eq!(outcome, BuildOutcome { id, change: Change::UpToDate, claude: Some(versions().default) });
    assert!(engine.calls().iter().all(|call| call.operation != Operation::BuildImage));
}

#[tokio::test]
async fn a_package_with_another_hash_is_not_built_in() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(&directory);
    let package = directory.path().join("package.tgz");
    fs::write(&package, "something else").unwrap();
    options.claude_package = Some(package.clone());
    let engine = FakeEngine::new(&[]);

    let error = build(&engine, &options, |_| {}).await.unwrap_err();

    assert!(matches!(error, ImageError::Integrity { path, .. } if path == package));
    assert_eq!(engine.image("agent").await, Ok(None));
    assert_eq!(engine.inspect_container(&ContainerId::new("agent")).await, Ok(None));
}

#[test]
fn everything_that_goes_in_changes_the_hash() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(&directory);
    let package = default_package("x86_64");
    let sandbox_init = SandboxInit::load(options.sandbox_init.as_deref(), std::env::consts::ARCH).unwrap();
    let base = ImageInfo { id: "sha256:1".to_owned(), labels: Labels::new(), size_bytes: 0, created: None };
    let hash = content_hash(&package, &sandbox_init, &options, Some(&base));

    let other = Package { integrity: "sha512-x".to_owned(), ..package.clone() };
    assert_ne!(hash, content_hash(&other, &sandbox_init, &options, Some(&base)));
    assert_ne!(hash, content_hash(&package, &sandbox_init, &options, None));
    let based = BuildOptions { base_image: "debian:13".to_owned(), ..options.clone() };
    assert_ne!(hash, content_hash(&package, &sandbox_init, &based, Some(&base)));
    let mut longer = program();
    longer.push(0);
    fs::write(directory.path().join("sandbox-init"), longer).unwrap();
    let rebuilt = SandboxInit::load(options.sandbox_init.as_deref(), std::env::consts::ARCH).unwrap();
    assert_ne!(hash, content_hash(&package, &rebuilt, &options, Some(&base)));
}

#[tokio::test]
async fn the_image_of_repository_tasks_is_made_from_the_agent_image_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let options = BuildOptions { repository: true, repository_tag: "repository".to_owned(), ..options(&directory) };
    let none = build(&FakeEngine::new(&[]), &options, |_| {}).await.unwrap_err();
    assert!(matches!(none, ImageError::NoAgentImage(name) if name == "agent"));

    let engine = FakeEngine::new(&["agent"]);
    let built = build(&engine, &options, |_| {}).await.unwrap();
    assert_eq!(built.change, Change::Built);
    assert_eq!(build(&engine, &options, |_| {}).await.unwrap(), BuildOutcome { change: Change::UpToDate, ..built });
    engine.add_image("agent", Labels::from([("made".to_owned(), "anew".to_owned())]));
    assert_eq!(build(&engine, &options, |_| {}).await.unwrap().change, Change::Built);
}

/// A directory with a package whose content is known, and its hash.
fn package_of(directory: &tempfile::TempDir, version: Version) -> (std::path::PathBuf, Package) {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use sha2::Sha512;

    let path = directory.path().join(format!("package-{version}.tgz"));
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for name in ["package/claude", "package/LICENSE.md"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, std::io::empty()).unwrap();
    }
    let bytes = archive.into_inner().unwrap().finish().unwrap();
    let integrity = format!("sha512-{}", BASE64_STANDARD.encode(Sha512::digest(&bytes)));
    fs::write(&path, bytes).unwrap();
    (path, Package { name: "@example/claude".to_owned(), version, integrity })
}

#[tokio::test]
async fn an_image_that_another_tool_made_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(&directory);
    let ours = || Labels::from([(CONTENT_LABEL.to_owned(), "sha256-old".to_owned())]);

    let engine = FakeEngine::new(&["debian:bookworm-slim"]);
    engine.add_image("agent", Labels::from([("theirs".to_owned(), "1".to_owned())]));
    let error = build(&engine, &options, |_| {}).await.unwrap_err();
    assert!(matches!(&error, ImageError::Foreign(name) if name == "agent"), "{error}");

    // It inherits the labels of the agent image.
    let engine = FakeEngine::new(&["debian:bookworm-slim"]);
    engine.add_image("base", ours());
    engine.add_child_image("agent", "base");
    for repository in [false, true] {
        let options =
            BuildOptions { repository, repository_tag: "agent".to_owned(), tag: "agent".to_owned(), ..options.clone() };
        let error = build(&engine, &options, |_| {}).await.unwrap_err();
        assert!(matches!(&error, ImageError::Foreign(name) if name == "agent"), "{error}");
    }
    assert!(engine.calls().iter().all(|call| call.operation != Operation::BuildImage));
}

#[tokio::test]
async fn an_image_gets_its_name_when_its_program_has_told_its_version() {
    let directory = tempfile::tempdir().unwrap();
    let version = Version::new(9, 9, 9);
    let (path, package) = package_of(&directory, version);
    let engine = FakeEngine::new(&["debian:bookworm-slim"]);
    engine.add_image("agent", Labels::from([(CONTENT_LABEL.to_owned(), "sha256-old".to_owned())]));
    let before = engine.image("agent").await.unwrap().unwrap().id;
    let options = BuildOptions { claude_package: Some(path), ..options(&directory) };
    let image = |engine: FakeEngine| async move { engine.image("agent").await.unwrap().unwrap().id };

    engine.says("1.0.0 (Claude Code)\n");
    let error = build_package(&engine, &options, package.clone(), &mut |_| {}).await.unwrap_err();
    assert!(matches!(&error, ImageError::OtherVersion { found, .. } if *found == Version::new(1, 0, 0)), "{error}");
    engine.says("Illegal instruction\n");
    let error = build_package(&engine, &options, package.clone(), &mut |_| {}).await.unwrap_err();
    assert!(matches!(&error, ImageError::Unusable { .. }), "{error}");
    assert_eq!(image(engine.clone()).await, before, "the name keeps its image");

    engine.says("9.9.9 (Claude Code)\n");
    let built = build_package(&engine, &options, package.clone(), &mut |_| {}).await.unwrap();
    assert_eq!((built.change, built.claude), (Change::Built, Some(version)));
    assert_eq!(image(engine.clone()).await, built.id);
    let again = build_package(&engine, &options, package, &mut |_| {}).await.unwrap();
    assert_eq!(again, BuildOutcome { change: Change::UpToDate, ..built });
}
