//! `export --files`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::process::Command;

use super::{Ran, on_terminal};
use crate::bounds::within;
use crate::server::Setup;

/// Names that are hard to pass through an archive, a path or a shell.
const MAKE: &str = r#"
set -e
mkdir -p 'dir with space/sub' empty
echo inner > 'dir with space/sub/inner.txt'
echo quoted > "it's \"quoted\"; rm -rf ~"
echo dash > ./--checkpoint-action=exec=false
echo star > '*'
echo lines > $'two\nlines'
echo latin > $'caf\xe9'
echo wide > 'naïve 日本語'
echo long > "$(printf 'n%.0s' $(seq 200)).txt"
deep=$(printf 'deep-directory-name/%.0s' $(seq 20)); mkdir -p "$deep"; echo deep > "$deep/leaf"
head -c 300000 /dev/zero | tr '\0' x > big
printf 'kept' > script.sh; chmod 755 script.sh
ln -s 'dir with space/sub/inner.txt' inside; ln -s /etc/passwd outside
"#;

/// Unpacks an archive with GNU tar and returns its files by their paths below `workspace`.
fn unpacked(archive: &Path, into: &Path) -> BTreeMap<OsString, Vec<u8>> {
    std::fs::create_dir(into).unwrap();
    let done = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(into).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let found = Command::new("find").args([".", "-type", "f", "-print0"]).current_dir(into.join("workspace")).output();
    let names = found.unwrap().stdout;
    let names = names.split(|byte| *byte == 0).filter_map(|name| name.strip_prefix(b"./"));
    names
        .map(|name| {
            let content = std::fs::read(into.join("workspace").join(OsStr::from_bytes(name))).unwrap();
            (OsString::from_vec(name.to_vec()), content)
        })
        .collect()
}

#[tokio::test]
async fn files_come_whole_whatever_they_are_called() {
    let server = Setup::new().template_file("make.sh", MAKE, 0o644).start().await;
    let made = server.task("s", "bash:bash make.sh").await.ok();
    let directory = server.directory().to_owned();
    server.run(&["export", "s", "--files", "-o", "files.tar"]).await.ok();
    let files = unpacked(&directory.join("files.tar"), &directory.join("unpacked"));
    let deep = format!("{}leaf", "deep-directory-name/".repeat(20));
    let long = format!("{}.txt", "n".repeat(200));
    let text: [(&[u8], &str); 10] = [
        (b"dir with space/sub/inner.txt", "inner\n"),
        (b"it's \"quoted\"; rm -rf ~", "quoted\n"),
        (b"--checkpoint-action=exec=false", "dash\n"),
        (b"*", "star\n"),
        (b"two\nlines", "lines\n"),
        (b"caf\xe9", "latin\n"),
        ("naïve 日本語".as_bytes(), "wide\n"),
        (long.as_bytes(), "long\n"),
        (deep.as_bytes(), "deep\n"),
        (b"script.sh", "kept"),
    ];
    for (name, content) in text {
        let found = files.get(OsStr::from_bytes(name)).map(|content| String::from_utf8_lossy(content));
        assert_eq!(found.as_deref(), Some(content), "{}", String::from_utf8_lossy(name));
    }
    assert_eq!(files[OsStr::new("big")], vec![b'x'; 300_000]);
    // The workspace also contains `big` and the template's files.
    let template = ["AGENTS.md", "make.sh", "note.txt"];
    assert!(template.iter().all(|name| files.contains_key(OsStr::new(name))), "{:?}", files.keys());
    assert_eq!(files.len(), text.len() + 1 + template.len(), "{:?}", files.keys());
    let there = directory.join("unpacked/workspace");
    assert_eq!(std::fs::read_to_string(there.join("inside")).unwrap(), "inner\n", "a link that stays inside");
    assert!(there.join("empty").is_dir() && there.join("outside").symlink_metadata().is_err());
    let mode = std::os::unix::fs::PermissionsExt::mode(&there.join("script.sh").metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o755);

    // The export works by a task's id and on standard output, but never overwrites a file or writes to a terminal.
    let task = made["taskId"].as_str().unwrap();
    let output = within("export", server.program(&["export", task, "--files"]).output()).await.unwrap();
    let mut archive = tar::Archive::new(output.stdout.as_slice());
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut agents = entries.find(|entry| entry.path_bytes().ends_with(b"/AGENTS.md")).unwrap();
    let mut content = String::new();
    agents.read_to_string(&mut content).unwrap();
    assert_eq!(content.as_bytes(), files[OsStr::new("AGENTS.md")]);
    let ran = server.run(&["export", "s", "--files", "-o", "files.tar"]).await;
    assert!(ran.code == 64 && ran.err.contains("files.tar already exists; --force"), "{ran:#?}");
    let mut terminal = on_terminal(&directory, "exec \"$CLAUDE_RUNNER\" export s --files");
    terminal.env("CLAUDE_RUNNER_URL", server.url("/"));
    let ran = Ran::of(within("export", terminal.output()).await.unwrap());
    assert!(ran.code == 64 && ran.out.contains("--output"), "{ran:#?}");

    server.delete("/session/s").await.ok();
    server.finish().await;
}

#[tokio::test]
async fn a_session_that_never_had_a_container_has_an_empty_archive() {
    let server = Setup::new().without_image().start().await;
    server.task("s", "say:x").await.problem(503, "engine_unavailable");
    let output = within("export", server.program(&["export", "s", "--files"]).output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, vec![0; 1024], "two blocks of zeros are all that it is");
    server.finish().await;
}
