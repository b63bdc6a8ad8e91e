//! Requests for files, with a sandbox-init that serves them.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use bytes::Bytes;
use futures::stream;
use link::{FileContent, FilePlace, FilesError, Link, ResumeState};
use sandbox_link::files::{Bounds, EntryKind, FailureKind, Page};
use tempfile::TempDir;

use crate::support::{ORPHAN_TTL, connected, exited, patiently, program};

pub(crate) const BOUNDS: Bounds = Bounds { bytes: 1 << 30, entries: 100_000, depth: 32, time_ms: 60_000 };

pub(crate) fn place(root: &Path, path: impl AsRef<[u8]>) -> FilePlace {
    FilePlace { root: root.to_str().unwrap().to_owned(), path: path.as_ref().to_vec(), bounds: BOUNDS }
}

pub(crate) async fn list(link: &Link, root: &Path, path: impl AsRef<[u8]>) -> Result<Page, FilesError> {
    patiently(link.list_files(&place(root, path), None, 1000)).await
}

pub(crate) async fn all(mut content: FileContent) -> Result<Vec<u8>, FilesError> {
    let mut bytes = Vec::new();
    while let Some(piece) = patiently(content.next()).await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

pub(crate) async fn read(link: &Link, root: &Path, path: impl AsRef<[u8]>) -> Result<Vec<u8>, FilesError> {
    let (_, content) = patiently(link.read_file(&place(root, path), 0, u64::MAX)).await?;
    all(content).await
}

pub(crate) fn pieces(bytes: &[u8]) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + use<> {
    stream::iter(bytes.chunks(100_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect::<Vec<_>>())
}

pub(crate) fn kind(error: Result<impl Sized, FilesError>) -> FailureKind {
    let error = error.err().expect("it failed");
    error.failure().unwrap_or_else(|| panic!("{error:?}"))
}

fn names(page: &Page) -> Vec<String> {
    page.entries.iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect()
}

fn root() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn a_tree_goes_in_and_comes_out() {
    let (_sandbox, link, _output) = connected();
    let (from, to) = (root(), root());
    let long = "l".repeat(255);
    let deep = format!("{}/{}", "d".repeat(200), "e".repeat(200));
    fs::create_dir_all(from.path().join(&deep)).unwrap();
    fs::write(from.path().join(&deep).join(&long), b"deep").unwrap();
    fs::write(from.path().join("big"), vec![7; 3_000_001]).unwrap();
    fs::write(from.path().join("run.sh"), b"#!/bin/sh\n").unwrap();
    fs::set_permissions(from.path().join("run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("../somewhere/else", from.path().join("link")).unwrap();
    symlink("t".repeat(3000), from.path().join("long link")).unwrap();
    fs::write(from.path().join(std::ffi::OsStr::from_bytes(b"\xff\n\x01")), b"bytes").unwrap();

    let packed = all(patiently(link.pack_files(&place(from.path(), ""))).await.unwrap()).await.unwrap();
    let into = place(to.path(), "");
    let summary = patiently(link.unpack_files(&into, pieces(&packed))).await.unwrap();
    assert_eq!(summary.bytes, 3_000_001 + 10 + 4 + 5);
    let base = to.path().join(from.path().file_name().unwrap());
    assert_eq!(fs::read(base.join(&deep).join(&long)).unwrap(), b"deep");
    assert_eq!(fs::read(base.join("big")).unwrap(), vec![7; 3_000_001]);
    assert_eq!(fs::metadata(base.join("run.sh")).unwrap().mode() & 0o7777, 0o750);
    let modified = |root: &Path| fs::metadata(root.join("run.sh")).unwrap().mtime();
    assert_eq!(modified(&base), modified(from.path()));
    assert_eq!(fs::read_link(base.join("link")).unwrap(), Path::new("../somewhere/else"));
    assert_eq!(fs::read_link(base.join("long link")).unwrap(), Path::new(&"t".repeat(3000)));
    assert_eq!(fs::read(base.join(std::ffi::OsStr::from_bytes(b"\xff\n\x01"))).unwrap(), b"bytes");

    // The tar program agrees about the archive.
    let archive = to.path().join("archive.tar");
    let packed = all(patiently(link.pack_files(&place(from.path(), ""))).await.unwrap()).await.unwrap();
    fs::write(&archive, packed).unwrap();
    let listed = std::process::Command::new("tar").arg("--list").arg("--file").arg(&archive).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    assert_eq!(listed.stdout.split(|byte| *byte == b'\n').count() - 1, 9);
}

#[tokio::test]
async fn a_directory_is_listed_in_pages() {
    let (_sandbox, link, _output) = connected();
    let root = root();
    for number in 0..2500 {
        fs::write(root.path().join(format!("{number:04}")), "x").unwrap();
    }
    let mut seen = Vec::new();
    let mut after = None;
    let mut pages = 0;
    loop {
        let page = patiently(link.list_files(&place(root.path(), ""), after, 1000)).await.unwrap();
        pages += 1;
        seen.extend(names(&page));
        after = page.entries.last().map(|entry| entry.name.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!((pages, seen), (3, (0..2500).map(|number| format!("{number:04}")).collect()));

    let few = patiently(link.list_files(&place(root.path(), ""), Some(Bytes::from_static(b"0998")), 2)).await.unwrap();
    assert_eq!((names(&few), few.more), (vec!["0999".to_owned(), "1000".to_owned()], true));
    let mut bounded = place(root.path(), "");
    bounded.bounds.entries = 10;
    let bounded = patiently(link.list_files(&bounded, None, 1000)).await.unwrap();
    assert!(bounded.truncated && bounded.entries.len() <= 10);
}

#[tokio::test]
async fn entries_say_what_they_are() {
    let (_sandbox, link, _output) = connected();
    let root = root();
    fs::create_dir(root.path().join("directory")).unwrap();
    fs::write(root.path().join("file"), "12345").unwrap();
    fs::set_permissions(root.path().join("file"), fs::Permissions::from_mode(0o4640)).unwrap();
    symlink("/etc/passwd", root.path().join("link")).unwrap();
    nix::unistd::mkfifo(&root.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
    let page = list(&link, root.path(), "").await.unwrap();
    let kinds: Vec<_> = page.entries.iter().map(|entry| (entry.kind, entry.target.as_deref())).collect();
    let expected = [
        (EntryKind::Directory, None),
        (EntryKind::File, None),
        (EntryKind::Symlink, Some(b"/etc/passwd".as_slice())),
        (EntryKind::Fifo, None),
        (EntryKind::Socket, None),
    ];
    assert_eq!(kinds, expected);
    let file = &page.entries[1];
    let modified = fs::metadata(root.path().join("file")).unwrap().mtime();
    assert_eq!((file.size, file.mode, file.modified), (5, 0o4640, modified));
    assert_eq!(kind(list(&link, root.path(), "file").await), FailureKind::File);
    assert_eq!(kind(list(&link, root.path(), "pipe").await), FailureKind::Special);
    assert_eq!(kind(list(&link, root.path(), "none").await), FailureKind::NotFound);
    assert_eq!(kind(read(&link, root.path(), "directory").await), FailureKind::Directory);
    assert_eq!(kind(read(&link, root.path(), "pipe").await), FailureKind::Special);
    assert_eq!(kind(read(&link, root.path(), "link").await), FailureKind::Symlink);
}

#[tokio::test]
async fn files_are_read_in_parts_written_measured_and_removed() {
    let (_sandbox, link, _output) = connected();
    let root = root();
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let at = place(root.path(), "made");
    patiently(link.write_file(&at, 0o4755, pieces(&content))).await.unwrap();
    assert_eq!(fs::metadata(root.path().join("made")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(read(&link, root.path(), "made").await.unwrap(), content);
    let (entry, part) = patiently(link.read_file(&at, 70_000, 80_000)).await.unwrap();
    assert_eq!(entry.size, 800_000);
    assert_eq!(all(part).await.unwrap(), content[70_000..150_000]);
    let (_, nothing) = patiently(link.read_file(&at, 900_000, 10)).await.unwrap();
    assert_eq!(all(nothing).await.unwrap(), b"");

    fs::File::create(root.path().join("sparse")).unwrap().set_len(1 << 40).unwrap();
    let measured = patiently(link.measure_files(&place(root.path(), ""))).await.unwrap();
    assert_eq!(measured.entries, 2);
    assert!((800_000..1_000_000).contains(&measured.bytes), "{measured:?}");

    fs::create_dir_all(root.path().join("tree/a/b")).unwrap();
    fs::write(root.path().join("tree/a/b/file"), "x").unwrap();
    symlink(root.path().join("made"), root.path().join("tree/a/link")).unwrap();
    for _ in 0..2 {
        patiently(link.remove_files(&place(root.path(), "tree"))).await.unwrap();
        assert!(!root.path().join("tree").exists() && root.path().join("made").exists());
    }
    patiently(link.remove_files(&at)).await.unwrap();
    assert!(!root.path().join("made").exists());
    assert_eq!(kind(patiently(link.remove_files(&place(root.path(), ""))).await), FailureKind::Invalid);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing but the sparse file");
}

#[tokio::test]
async fn half_an_archive_is_no_success() {
    let (_sandbox, link, _output) = connected();
    let root = root();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(100_000);
    header.set_mode(0o644);
    builder.append_data(&mut header, "file", vec![1; 100_000].as_slice()).unwrap();
    let archive = builder.into_inner().unwrap();
    let at = place(root.path(), "");
    let cut = patiently(link.unpack_files(&at, pieces(&archive[..50_000]))).await;
    assert_eq!(kind(cut), FailureKind::Invalid);
    let broken = stream::iter([Ok(Bytes::from(archive[..50_000].to_vec())), Err(io::Error::other("a disk"))]);
    assert!(matches!(patiently(link.unpack_files(&at, broken)).await, Err(FilesError::Source(_))));
    let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err(io::Error::other("a disk"))]);
    assert!(matches!(
        patiently(link.write_file(&place(root.path(), "new"), 0o644, broken)).await,
        Err(FilesError::Source(_))
    ));
    patiently(link.unpack_files(&at, pieces(&archive))).await.unwrap();
    assert_eq!(fs::metadata(root.path().join("file")).unwrap().len(), 100_000);
    // The interrupted write has left nothing: it ended before this request, or ends now.
    patiently(async {
        while fs::read_dir(root.path()).unwrap().count() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let into_nothing = patiently(link.unpack_files(&place(root.path(), "none"), pieces(&vec![0; 10_000_000]))).await;
    assert_eq!(kind(into_nothing), FailureKind::NotFound, "it fails before the content is sent");
}

#[tokio::test]
async fn a_stalled_reader_delays_neither_the_agent_nor_others() {
    let (_sandbox, link, mut output) = connected();
    let root = root();
    fs::File::create(root.path().join("large")).unwrap().set_len(1 << 29).unwrap();
    let (_, stalled) = patiently(link.read_file(&place(root.path(), "large"), 0, u64::MAX)).await.unwrap();
    link.start(program(&["sh", "-c", "cat; seq 5"])).await.unwrap();
    output.started().await;
    link.stdin(Bytes::from_static(b"hello")).await.unwrap();
    link.close_stdin().await.unwrap();
    let (lines, exit) = output.lines_until_exit(&link).await;
    assert_eq!((lines.len(), exit), (6, exited(0)));
    assert_eq!(list(&link, root.path(), "").await.unwrap().entries.len(), 1);
    // Its thread becomes free with it. There are more requests here than threads.
    drop(stalled);
    for _ in 0..10 {
        let (_, unread) = patiently(link.read_file(&place(root.path(), "large"), 0, u64::MAX)).await.unwrap();
        drop(unread);
    }
}

#[tokio::test]
async fn files_are_served_to_the_next_coordinator() {
    let (sandbox, link, output) = connected();
    let root = root();
    fs::write(root.path().join("file"), "content").unwrap();
    fs::File::create(root.path().join("large")).unwrap().set_len(1 << 29).unwrap();
    // As many as there are threads, all interrupted by the restart.
    let mut interrupted = Vec::new();
    for _ in 0..sandbox_link::files::MAX_STREAMS {
        interrupted.push(patiently(link.read_file(&place(root.path(), "large"), 0, u64::MAX)).await.unwrap().1);
    }
    let resume = ResumeState { secret: link.secret().clone(), last_received: 0 };
    link.close().await;
    drop((output, interrupted));
    let (link, _output) = sandbox.bind(Some(resume), ORPHAN_TTL);
    assert_eq!(read(&link, root.path(), "file").await.unwrap(), b"content");
    assert_eq!(link.serves_files(), Some(true));
}
