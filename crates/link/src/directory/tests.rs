use futures::FutureExt;
use futures::future::BoxFuture;

use super::*;

struct NoGateway;

impl GatewayStream for NoGateway {
    fn serve(&self, _stream: LinkStream) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }
}

fn open(path: &Path) -> Result<LinkDirectory, LinkError> {
    LinkDirectory::open(path, TaskTracker::new(), CancellationToken::new())
}

fn bind(directory: &LinkDirectory, name: &str) -> Result<(Link, LinkOutput), LinkError> {
    directory.bind(name, None, Duration::from_mins(1), Arc::new(NoGateway))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn modes_are_as_the_mount_needs_them() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("a/b");
    let directory = open(&path).unwrap();
    let (link, _output) = bind(&directory, "one").unwrap();
    let inside = link.directory().unwrap().to_owned();
    assert_eq!(inside, path.join("one"));
    assert_eq!([mode(&path), mode(&inside)], [0o700, 0o755]);
    assert_eq!([mode(&inside.join(AGENT_SOCKET)), mode(&inside.join(GATEWAY_SOCKET))], [0o666, 0o666]);
}

#[tokio::test]
async fn sockets_go_with_the_link_and_the_directory_stays_until_removed() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = open(temporary.path()).unwrap();
    let (link, _output) = bind(&directory, "one").unwrap();
    let inside = link.directory().unwrap().to_owned();
    link.close().await;
    assert_eq!(fs::read_dir(&inside).unwrap().count(), 0);
    assert_eq!(directory.names().unwrap(), ["one"]);
    directory.remove("one").unwrap();
    directory.remove("one").unwrap();
    assert!(directory.names().unwrap().is_empty());
}

#[tokio::test]
async fn stale_sockets_are_replaced_in_the_same_directory() {
    use std::os::unix::fs::MetadataExt;

    let temporary = tempfile::tempdir().unwrap();
    let inside = temporary.path().join("one");
    fs::create_dir(&inside).unwrap();
    drop(std::os::unix::net::UnixListener::bind(inside.join(AGENT_SOCKET)).unwrap());
    let inode = fs::metadata(&inside).unwrap().ino();
    let (_link, _output) = bind(&open(temporary.path()).unwrap(), "one").unwrap();
    assert_eq!(fs::metadata(&inside).unwrap().ino(), inode);
    tokio::net::UnixStream::connect(inside.join(AGENT_SOCKET)).await.unwrap();
}

#[test]
fn a_path_too_long_for_sockets_names_the_setting() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("x".repeat(60));
    let error = open(&path).unwrap_err().to_string();
    assert!(error.contains("RUNTIME_DIR"), "{error}");
    assert!(!path.exists());
}

#[test]
fn names_cannot_leave_the_directory() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = open(temporary.path()).unwrap();
    for name in ["", ".", "..", "a/b", "a b", &"x".repeat(37)] {
        assert!(matches!(bind(&directory, name), Err(LinkError::Name(_))), "{name:?}");
        assert!(directory.remove(name).is_err());
    }
}

#[tokio::test]
async fn a_directory_is_removed_once_only_its_own_files_are_left() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run");
    let directory = open(&path).unwrap();
    assert_eq!(fs::metadata(directory.empty_file()).unwrap().len(), 0);
    directory.mark("a").unwrap();
    directory.mark("b").unwrap();
    directory.remove_mark("b").unwrap();
    directory.remove_mark("b").unwrap();
    assert!(directory.is_marked("a") && !directory.is_marked("b"));
    fs::create_dir(path.join("sandbox")).unwrap();
    LinkDirectory::remove_if_unused(&path);
    assert!(directory.is_marked("a") && directory.empty_file().exists());
    fs::remove_dir(path.join("sandbox")).unwrap();
    LinkDirectory::remove_if_unused(&path);
    assert!(!path.exists());
}
