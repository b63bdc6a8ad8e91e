//! An agent that changes its files and uses the socket while they are read.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use bytes::BytesMut;
use futures::{SinkExt, StreamExt};
use link::FilesError;
use sandbox_link::files::FailureKind;
use sandbox_link::frame::{Hello, Up};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::files::{all, kind, list, pieces, place, read};
use crate::support::{ORPHAN_TTL, bind, connected, patiently};

/// Runs an action again and again until it is dropped.
struct Nuisance {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Nuisance {
    fn start(mut action: impl FnMut() + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut runs = 0;
            while !stopped.load(Ordering::Relaxed) {
                action();
                runs += 1;
            }
            runs
        });
        Self { stop, thread: Some(thread) }
    }

    fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

/// Exchanges two names of a directory without a moment in which one is missing.
fn exchange(root: &Path, a: &str, b: &str) {
    let directory = fs::File::open(root).unwrap();
    nix::fcntl::renameat2(&directory, a, &directory, b, nix::fcntl::RenameFlags::RENAME_EXCHANGE).unwrap();
}

#[tokio::test]
async fn a_directory_that_turns_into_a_link_leads_nowhere() {
    let (_sandbox, link, _output) = connected();
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for directory in [root.path().join("a/x"), outside.path().to_owned()] {
        fs::create_dir_all(&directory).unwrap();
        for number in 0..50 {
            let content = if directory == outside.path() { "outside" } else { "inside." };
            fs::write(directory.join(format!("{number}")), content).unwrap();
        }
    }
    fs::write(outside.path().join("secret"), "outside").unwrap();
    symlink(outside.path(), root.path().join("a/y")).unwrap();
    let inside = root.path().join("a");
    let swapping = Nuisance::start(move || exchange(&inside, "x", "y"));
    let (mut listed, mut done, mut refused) = (0, 0, 0);
    for _ in 0..300 {
        match list(&link, root.path(), "a/x").await {
            Ok(page) => {
                listed += 1;
                assert!(page.entries.iter().all(|entry| &*entry.name != b"secret"), "{page:?}");
            }
            Err(error) => assert!(is_race(&error), "{error:?}"),
        }
        match read(&link, root.path(), "a/x/1").await {
            Ok(content) => {
                done += 1;
                assert_eq!(content, b"inside.");
            }
            Err(error) => {
                refused += 1;
                assert!(is_race(&error), "{error:?}");
            }
        }
        let content = patiently(link.pack_files(&place(root.path(), "a"))).await.unwrap();
        match all(content).await {
            Ok(packed) => {
                for entry in tar::Archive::new(packed.as_slice()).entries().unwrap() {
                    let mut entry = entry.unwrap();
                    let mut content = String::new();
                    std::io::Read::read_to_string(&mut entry, &mut content).unwrap();
                    assert_ne!(content, "outside");
                }
            }
            Err(error) => assert!(is_race(&error), "{error:?}"),
        }
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        archive.append_data(&mut header, "a/x/new", b"new".as_slice()).unwrap();
        let archive = archive.into_inner().unwrap();
        let unpacked = patiently(link.unpack_files(&place(root.path(), ""), pieces(&archive))).await;
        assert!(unpacked.as_ref().err().is_none_or(is_race), "{unpacked:?}");
        let removed = patiently(link.remove_files(&place(root.path(), "a/x/2"))).await;
        assert!(removed.as_ref().err().is_none_or(is_race), "{removed:?}");
    }
    let swaps = swapping.stop();
    // The races took place.
    assert!(swaps > 100 && listed > 0 && done > 0 && refused > 0, "{swaps} {listed} {done} {refused}");
    let names: Vec<_> = fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 51, "nothing was written or removed outside: {names:?}");
}

fn is_race(error: &FilesError) -> bool {
    matches!(
        error.failure(),
        Some(FailureKind::Symlink | FailureKind::Changed | FailureKind::NotFound | FailureKind::Other)
    )
}

#[tokio::test]
async fn a_file_that_turns_into_a_fifo_is_not_opened() {
    let (_sandbox, link, _output) = connected();
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("x"), "content").unwrap();
    nix::unistd::mkfifo(&root.path().join("y"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    // The same FIFO under a name that stays. A writer finds a reader only if somebody has opened it.
    let fifo = root.path().join("waits");
    fs::hard_link(root.path().join("y"), &fifo).unwrap();
    let watching = Nuisance::start(move || {
        let flags = nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_NONBLOCK;
        let opened = nix::fcntl::open(&fifo, flags, nix::sys::stat::Mode::empty());
        assert_eq!(opened.err(), Some(nix::errno::Errno::ENXIO), "somebody reads the FIFO");
    });
    let path = root.path().to_owned();
    let swapping = Nuisance::start(move || exchange(&path, "x", "y"));
    for _ in 0..300 {
        match read(&link, root.path(), "x").await {
            Ok(content) => assert_eq!(content, b"content"),
            Err(error) => assert_eq!(error.failure(), Some(FailureKind::Special), "{error:?}"),
        }
        assert_eq!(kind(read(&link, root.path(), "waits").await), FailureKind::Special);
        all(patiently(link.pack_files(&place(root.path(), ""))).await.unwrap()).await.unwrap();
    }
    swapping.stop();
    watching.stop();
}

#[tokio::test]
async fn a_directory_that_is_moved_away_is_read_where_it_was_opened() {
    let (_sandbox, link, _output) = connected();
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(root.path().join("a/b")).unwrap();
    for number in 0..20 {
        fs::write(root.path().join(format!("a/b/{number:02}")), vec![b'i'; 1_000_000]).unwrap();
    }
    fs::write(outside.path().join("secret"), "outside").unwrap();
    // The stream's buffers hold less than one file, so the walk waits within the directory.
    let mut content = patiently(link.pack_files(&place(root.path(), "a"))).await.unwrap();
    let mut packed = patiently(content.next()).await.unwrap().unwrap().to_vec();
    fs::rename(root.path().join("a/b"), root.path().join("moved")).unwrap();
    symlink(outside.path(), root.path().join("a/b")).unwrap();
    packed.extend(all(content).await.unwrap());
    let mut files = 0;
    for entry in tar::Archive::new(packed.as_slice()).entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        assert!(!path.ends_with("secret"));
        files += usize::from(entry.size() == 1_000_000);
    }
    assert_eq!(files, 20);
}

#[tokio::test]
async fn sizes_of_holes_and_of_files_that_grow_end_somewhere() {
    let (_sandbox, link, _output) = connected();
    let root = tempfile::tempdir().unwrap();
    fs::File::create(root.path().join("sparse")).unwrap().set_len(1 << 40).unwrap();
    let page = list(&link, root.path(), "").await.unwrap();
    assert_eq!(page.entries[0].size, 1 << 40);
    let mut bounded = place(root.path(), "");
    bounded.bounds.bytes = 10_000_000;
    let packed = all(patiently(link.pack_files(&bounded)).await.unwrap()).await;
    assert_eq!(kind(packed), FailureKind::TooLarge);
    bounded.bounds.bytes = u64::MAX;
    bounded.bounds.time_ms = 1;
    let packed = all(patiently(link.pack_files(&bounded)).await.unwrap()).await;
    assert_eq!(kind(packed), FailureKind::TooSlow);
    let last = patiently(link.read_file(&place(root.path(), "sparse"), (1 << 40) - 5, 100)).await.unwrap().1;
    assert_eq!(all(last).await.unwrap(), [0; 5]);

    fs::remove_file(root.path().join("sparse")).unwrap();
    fs::write(root.path().join("log"), vec![b'x'; 500_000]).unwrap();
    let path = root.path().join("log");
    let growing = Nuisance::start(move || {
        use std::io::Write as _;
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"grows").unwrap();
    });
    for _ in 0..50 {
        let (entry, content) = patiently(link.read_file(&place(root.path(), "log"), 0, u64::MAX)).await.unwrap();
        assert_eq!(all(content).await.unwrap().len() as u64, entry.size);
        let packed = all(patiently(link.pack_files(&place(root.path(), "log"))).await.unwrap()).await.unwrap();
        let mut archive = tar::Archive::new(packed.as_slice());
        assert_eq!(
            archive.entries().unwrap().map(|entry| entry.unwrap().size()).filter(|size| *size >= 500_000).count(),
            1
        );
    }
    growing.stop();
    // A file that becomes shorter keeps the archive valid, and fails a read.
    let (_, content) = patiently(link.read_file(&place(root.path(), "log"), 0, u64::MAX)).await.unwrap();
    drop(content);
    fs::File::create(root.path().join("log")).unwrap().set_len(100 << 20).unwrap();
    let (_, mut content) = patiently(link.read_file(&place(root.path(), "log"), 0, u64::MAX)).await.unwrap();
    patiently(content.next()).await.unwrap();
    let mut packing = patiently(link.pack_files(&place(root.path(), "log"))).await.unwrap();
    let mut packed = patiently(packing.next()).await.unwrap().unwrap().to_vec();
    fs::write(root.path().join("log"), "short").unwrap();
    assert_eq!(kind(all(content).await), FailureKind::Changed);
    packed.extend(all(packing).await.unwrap());
    let mut archive = tar::Archive::new(packed.as_slice());
    assert_eq!(archive.entries().unwrap().map(|entry| entry.unwrap().size()).sum::<u64>(), 100 << 20);
}

#[tokio::test]
async fn deep_trees_and_paths_out_of_the_root_are_refused() {
    let (_sandbox, link, _output) = connected();
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("d/".repeat(40))).unwrap();
    let measured = patiently(link.measure_files(&place(root.path(), ""))).await.unwrap();
    assert_eq!((measured.entries, measured.skipped), (33, 1), "deeper ones are left out, and counted");
    let packed = all(patiently(link.pack_files(&place(root.path(), ""))).await.unwrap()).await.unwrap();
    assert_eq!(tar::Archive::new(packed.as_slice()).entries().unwrap().count(), 34);
    for path in ["..", "../x", "d/../..", "/etc", "d//d", "./d", "d/\0"] {
        assert_eq!(kind(list(&link, root.path(), path).await), FailureKind::Invalid, "{path:?}");
    }
    let long = place(root.path(), "x".repeat(5000));
    assert!(patiently(link.list_files(&long, None, 1)).await.is_err());
    // The link goes on.
    assert_eq!(list(&link, root.path(), "d").await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn an_archive_cannot_leave_its_directory() {
    let (_sandbox, link, _output) = connected();
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(root.path().join("in")).unwrap();
    let unpack = async |name: &[u8], through: Option<&Path>| {
        let mut builder = tar::Builder::new(Vec::new());
        if let Some(target) = through {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, "link", target).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_cksum();
        builder.append(&header, b"x".as_slice()).unwrap();
        let archive = builder.into_inner().unwrap();
        patiently(link.unpack_files(&place(root.path(), "in"), pieces(&archive))).await
    };
    for name in [b"../out".as_slice(), b"/out", b"a/../../out"] {
        assert_eq!(kind(unpack(name, None).await), FailureKind::Invalid);
    }
    let through = unpack(b"link/out", Some(outside.path())).await;
    assert!(matches!(kind(through), FailureKind::NotFound | FailureKind::Changed));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(!root.path().join("out").exists());
    // A link in the place of a file is replaced, and what it leads to stays.
    fs::write(outside.path().join("kept"), "kept").unwrap();
    symlink(outside.path().join("kept"), root.path().join("in/file")).unwrap();
    unpack(b"file", None).await.unwrap();
    assert_eq!(fs::read_to_string(outside.path().join("kept")).unwrap(), "kept");
    assert_eq!(fs::read_to_string(root.path().join("in/file")).unwrap(), "x");
}

#[tokio::test]
async fn connections_that_say_nothing_or_guess_keep_nobody_out() {
    let (_sandbox, link, _output) = connected();
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), "content").unwrap();
    let socket = link.directory().unwrap().join("files.sock");
    let mut silent = Vec::new();
    for _ in 0..500 {
        silent.push(patiently(UnixStream::connect(&socket)).await.unwrap());
    }
    for _ in 0..20 {
        assert_eq!(read(&link, root.path(), "file").await.unwrap(), b"content");
    }
    // All but the newest were closed for those, long before their time was over.
    let is_closed = |stream: UnixStream| matches!(stream.into_std().unwrap().read(&mut [0]), Ok(0));
    let closed = silent.into_iter().filter_map(|stream| is_closed(stream).then_some(())).count();
    assert!(closed > 450, "{closed}");
    let mut guess = patiently(UnixStream::connect(&socket)).await.unwrap();
    guess.write_all(&[0; 16]).await.unwrap();
    assert_eq!(patiently(guess.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_sandbox_of_an_earlier_version_is_not_asked() {
    let temporary = tempfile::tempdir().unwrap();
    let (link, _output) = bind(temporary.path(), None, ORPHAN_TTL);
    assert_eq!(link.serves_files(), None);
    let stream = UnixStream::connect(link.directory().unwrap().join("agent.sock")).await.unwrap();
    let (mut socket, _) = client_async("ws://coordinator/agent", stream).await.unwrap();
    let mut hello = BytesMut::new();
    Up::Hello(Hello { version: 1, secret: None, last_received: 0, running: false }).encode(&mut hello);
    socket.send(Message::Binary(hello.freeze())).await.unwrap();
    patiently(socket.next()).await.unwrap().unwrap();
    socket.send(Message::Binary(Up::Ack { upto: 0 }.to_message())).await.unwrap();
    let listed = list(&link, Path::new("/"), "").await;
    assert!(matches!(listed, Err(FilesError::Outdated)), "{listed:?}");
    assert_eq!(link.serves_files(), Some(false));
}
