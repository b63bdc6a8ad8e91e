use std::fs;
use std::os::unix::fs::symlink;

use sandbox_link::files::FailureKind;

use super::*;

type Open = fn(BorrowedFd<'_>, &[CString], OFlag) -> nix::Result<OwnedFd>;

/// The way with `openat2`, and the way for a kernel without it.
const WAYS: [(&str, Open); 2] = [("openat2", open_beneath), ("step by step", open_step_by_step)];

fn path(text: &str) -> Path {
    text.split('/').map(|part| CString::new(part).unwrap()).collect()
}

#[test]
fn no_way_follows_a_link() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "outside").unwrap();
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("a/b")).unwrap();
    fs::write(root.path().join("a/b/file"), "inside").unwrap();
    symlink(outside.path(), root.path().join("out")).unwrap();
    symlink("a", root.path().join("in")).unwrap();
    symlink("b/file", root.path().join("a/link")).unwrap();
    let directory = fs::File::open(root.path()).unwrap();
    for (name, open) in WAYS {
        let opened = |text: &str| open(directory.as_fd(), &path(text), OFlag::O_RDONLY | OFlag::O_NOFOLLOW);
        assert!(opened("a/b/file").is_ok() && opened("a/b").is_ok(), "{name}");
        assert_eq!(opened("a/none").unwrap_err(), Errno::ENOENT, "{name}");
        for linked in ["out/file", "in/b/file", "a/link", "out", "in"] {
            let errno = opened(linked).unwrap_err();
            assert!(matches!(errno, Errno::ELOOP | Errno::ENOTDIR), "{name}: {linked}: {errno}");
        }
        // The link itself may be looked at.
        let found = open(directory.as_fd(), &path("out"), OFlag::O_PATH | OFlag::O_NOFOLLOW).unwrap();
        assert_eq!(kind_of(&fstat(found).unwrap()), EntryKind::Symlink, "{name}");
    }
}

#[test]
fn errors_name_the_component() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("a")).unwrap();
    fs::write(directory.path().join("a/file"), "").unwrap();
    symlink("a", directory.path().join("link")).unwrap();
    nix::unistd::mkfifo(&directory.path().join("fifo"), Mode::S_IRWXU).unwrap();
    let root = Root::open(directory.path().to_str().unwrap()).unwrap();
    let failure = |text: &str| root.directory(&path(text)).unwrap_err().into_failure().unwrap();
    assert_eq!((failure("link/file").kind, failure("link/file").message), (FailureKind::Symlink, "link".to_owned()));
    assert_eq!(failure("link").kind, FailureKind::Symlink);
    assert_eq!(failure("fifo").kind, FailureKind::Special);
    assert_eq!(failure("a/file").kind, FailureKind::File);
    assert_eq!(failure("a/file/below").kind, FailureKind::NotFound);
    assert_eq!(failure("none").kind, FailureKind::NotFound);
}

#[test]
fn a_root_is_no_link() {
    let directory = tempfile::tempdir().unwrap();
    symlink("/", directory.path().join("link")).unwrap();
    assert!(Root::open(directory.path().join("link").to_str().unwrap()).is_err());
}

#[test]
fn components_without_a_special_meaning_only() {
    for wrong in ["..", "a/..", "../a", "/a", "a//b", "a/", ".", "a/./b", "a\0b", &"x".repeat(256), &"x/".repeat(2500)]
    {
        assert!(parse(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
    assert_eq!(parse(b"").unwrap(), Path::new());
    assert_eq!(parse(b"..a/b\n/\xff").unwrap().len(), 3);
    assert!(parse("x".repeat(255).as_bytes()).is_ok());
}
