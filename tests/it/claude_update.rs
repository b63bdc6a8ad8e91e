//! `scripts/claude-update`, in a copy of the files that it needs, with a registry, contract tests and a forge that are scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

const NPM: &str = r#"
case "$4" in
  *@latest | *@9.8.7) echo "{\"version\": \"9.8.7\", \"dist.integrity\": \"sha512-of-$(basename "${4%@*}")\"}" ;;
  *) echo '{"error": {"code": "E404", "summary": "No match found"}}'; exit 1 ;;
esac
"#;

const GH: &str = r#"
echo "$1 $2 $*" >> ../gh.log
case "$1 $2" in
  "pr list") [ ! -e ../pull ] || echo 7 ;;
  "pr create") touch ../pull ;;
esac
"#;

struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let copy = Copy(tempfile::tempdir().unwrap());
        for (file, program) in [
            ("bin/npm", NPM),
            ("bin/gh", GH),
            ("clone/scripts/claude-versions", "echo \"facts of $1\"\n[ ! -e ../fails ]"),
        ] {
            copy.write(file, &format!("#!/bin/bash\n{program}\n"));
        }
        for file in ["scripts/claude-update", "scripts/lib.sh", "docker/claude-code.json", "CHANGELOG.md"] {
            let content = fs::read_to_string(Path::new(REPOSITORY).join(file)).unwrap();
            copy.write(&format!("clone/{file}"), &content);
        }
        copy.write("clone/.gitignore", "target\n");
        let git = "git init --quiet --bare ../origin && git init --quiet --initial-branch main . && git config user.name a && \
                   git config user.email a@example.com && git remote add origin ../origin && git add --all && git commit --quiet -m x";
        assert!(copy.bash(git).status.success());
        copy
    }

    fn write(&self, file: &str, content: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn bash(&self, script: &str) -> Output {
        let path = format!("{}:{}", self.0.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("bash");
        bash.args(["-c", script])
            .current_dir(self.0.path().join("clone"))
            .env("PATH", path)
            .env_remove("CARGO_TARGET_DIR");
        bash.output().unwrap()
    }

    fn list(&self, reference: &str) -> Value {
        serde_json::from_slice(&self.bash(&format!("git show {reference}:docker/claude-code.json")).stdout).unwrap()
    }

    fn gh(&self) -> Vec<String> {
        fs::read_to_string(self.0.path().join("gh.log")).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

#[test]
fn an_update_is_entered_and_opened_with_its_report() {
    let copy = Copy::new();
    let opened = copy.bash("scripts/claude-update --open");
    assert!(opened.status.success(), "{opened:?}");

    let (before, after) = (copy.list("main"), copy.list("claude-code-9.8.7"));
    assert_eq!(after["default"], "9.8.7");
    assert_eq!(after["minimum"], before["minimum"]);
    let hashes = serde_json::json!({
        "x86_64": "sha512-of-claude-code-linux-x64", "aarch64": "sha512-of-claude-code-linux-arm64",
    });
    assert_eq!(after["tested"]["9.8.7"], hashes);
    let tested = before["tested"].as_object().unwrap();
    assert!(tested.iter().all(|(version, hashes)| after["tested"][version] == *hashes), "{after:#}");
    let diff = copy.bash("git diff main claude-code-9.8.7 -- CHANGELOG.md").stdout;
    assert!(String::from_utf8_lossy(&diff).contains("\n+- The default version of Claude Code is 9.8.7.\n"));
    let pushed = copy.bash("git --git-dir ../origin rev-parse claude-code-9.8.7; git rev-parse HEAD").stdout;
    let pushed = String::from_utf8(pushed).unwrap();
    assert_eq!(pushed.lines().next(), pushed.lines().nth(1));
    let report = fs::read_to_string(copy.0.path().join("clone/target/claude-update/9.8.7.md")).unwrap();
    assert_eq!(report, "facts of 9.8.7\n");
    let gh = copy.gh();
    assert!(
        gh.last().unwrap().starts_with("pr create ") && gh.last().unwrap().contains("target/claude-update/9.8.7.md")
    );
    assert!(!gh.last().unwrap().contains("--draft"), "{gh:?}");

    let again = copy.bash("git switch --quiet main && scripts/claude-update --open 9.8.7");
    assert!(again.status.success(), "{again:?}");
    assert_eq!(copy.gh().iter().filter(|call| call.starts_with("pr create ")).count(), 1, "the same pull request");
    let nothing = copy.bash("git switch --quiet claude-code-9.8.7 && scripts/claude-update");
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("nothing to do"), "{nothing:?}");
}

#[test]
fn a_version_that_fails_is_not_the_default_and_is_opened_as_a_draft() {
    let copy = Copy::new();
    copy.write("fails", "");
    let failed = copy.bash("scripts/claude-update");
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(String::from_utf8_lossy(&failed.stdout).contains("facts of 9.8.7"), "the report is shown");
    assert!(copy.bash("git status --porcelain").stdout.is_empty());

    let opened = copy.bash("scripts/claude-update --open");
    assert!(opened.status.success(), "{opened:?}");
    let create = copy.gh().pop().unwrap();
    assert!(create.contains("--draft") && create.contains("fails the contract tests"), "{create}");

    let unknown = copy.bash("git switch --quiet main && scripts/claude-update 7.7.7");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("No match found"), "{unknown:?}");
}
