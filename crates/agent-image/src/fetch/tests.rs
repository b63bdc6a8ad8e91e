use std::io::Read as _;

use super::*;

/// `printf hello | openssl dgst -sha512 -binary | base64`
const HELLO: &str = "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";

fn package() -> Package {
    Package {
        name: "@example/tool".to_owned(),
        version: domain::claude_code::Version::new(1, 0, 0),
        integrity: HELLO.to_owned(),
    }
}

#[tokio::test]
async fn a_whole_archive_in_the_cache_is_used() {
    let cache = tempfile::tempdir().unwrap();
    fs::write(cache.path().join("example-tool-1.0.0.tgz"), "hello").unwrap();

    let mut file = fetch(&package(), cache.path(), &NetworkAccess::default(), || panic!("nothing is to be fetched"))
        .await
        .unwrap();

    let mut content = String::new();
    file.read_to_string(&mut content).unwrap();
    assert_eq!(content, "hello");
}

#[tokio::test]
async fn a_changed_archive_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("package.tgz");
    fs::write(&path, "hello!").unwrap();

    let error = open_checked(&path, &package()).await.unwrap_err();

    assert!(matches!(&error, ImageError::Integrity { expected, .. } if expected == HELLO), "{error}");
}
