use std::io::Seek as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::TryStreamExt as _;

use super::*;

fn package(files: &[(&str, &str)]) -> File {
    let mut builder = tar::Builder::new(GzEncoder::new(tempfile::tempfile().unwrap(), Compression::fast()));
    for (path, content) in files {
        append(&mut builder, path, 0o600, content.len() as u64, content.as_bytes()).unwrap();
    }
    let mut file = builder.into_inner().unwrap().finish().unwrap();
    file.rewind().unwrap();
    file
}

fn texts(texts: &[(&str, &str)]) -> Vec<(String, String)> {
    texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn the_context_holds_five_files() {
    let package = package(&[
        ("package/package.json", "{}"),
        ("package/claude", "the binary"),
        ("package/LICENSE.md", "the licence"),
    ]);

    let (source, writer) =
        stream(texts(&[("Dockerfile", "FROM x\n"), ("settings.json", "{}")]), b"init".to_vec(), package);
    let pieces: Vec<Bytes> = source.into_stream().try_collect().await.unwrap();
    writer.await.unwrap().unwrap();

    let mut files = Vec::new();
    for entry in tar::Archive::new(pieces.concat().as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let header = entry.header();
        files.push((
            entry.path().unwrap().to_string_lossy().into_owned(),
            header.mode().unwrap(),
            header.uid().unwrap(),
            content,
        ));
    }
    let file = |name: &str, mode, content: &str| (name.to_owned(), mode, 0, content.to_owned());
    assert_eq!(
        files,
        [
            file("Dockerfile", 0o644, "FROM x\n"),
            file("settings.json", 0o644, "{}"),
            file("sandbox-init", 0o755, "init"),
            file("claude", 0o711, "the binary"),
            file("LICENSE.md", 0o644, "the licence"),
        ]
    );
}

#[tokio::test]
async fn a_package_without_the_binary_breaks_the_context_off() {
    let (source, writer) = stream(texts(&[("Dockerfile", "")]), Vec::new(), package(&[("package/LICENSE.md", "")]));

    let sent = source.into_stream().try_collect::<Vec<_>>().await;
    assert_eq!(sent.unwrap_err().to_string(), "the package has no package/claude");
    assert_eq!(writer.await.unwrap().unwrap_err().to_string(), "the package has no package/claude");
}
