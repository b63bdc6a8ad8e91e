//! Pointers of Git LFS: text files that stand for files of the forge's storage.

use forge::LfsPointer;

/// The first lines of a pointer (docs/spec.md of git-lfs), also of its predecessors.
const VERSIONS: [&str; 3] = [
    "version https://git-lfs.github.com/spec/v1",
    "version https://hawser.github.com/spec/v1",
    "version http://git-media.io/v/2",
];

/// Reads a pointer as git-lfs does. `None`: it is another file.
pub(super) fn pointer(blob: &[u8]) -> Option<LfsPointer> {
    let text = std::str::from_utf8(blob).ok()?.trim();
    let mut lines = text.lines();
    let version = lines.next()?;
    if !VERSIONS.contains(&version.trim_end()) {
        return None;
    }
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let oid = value("oid")?.trim().strip_prefix("sha256:")?;
    let is_oid = oid.len() == 64 && oid.bytes().all(|b| b.is_ascii_hexdigit());
    let size = value("size")?.trim().parse().ok()?;
    is_oid.then(|| LfsPointer { oid: oid.to_ascii_lowercase(), size })
}

#[cfg(test)]
mod tests {
    use forge::LfsPointer;

    use super::pointer;

    #[test]
    fn a_pointer_is_known_by_its_text() {
        let oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
        let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12345\n");
        let expected = Some(LfsPointer { oid: oid.to_owned(), size: 12345 });
        assert_eq!(pointer(text.as_bytes()), expected);
        let other = format!(
            "\n\nversion https://hawser.github.com/spec/v1\next-0-x sha256:{oid}\noid sha256:{oid}\nsize 12345"
        );
        assert_eq!(pointer(other.as_bytes()), expected);
        for text in [
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 1\n", &oid[1..]),
            format!("version 2\noid sha256:{oid}\nsize 1\n"),
            format!("# version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 1\n"),
            "version https://git-lfs.github.com/spec/v1\n".to_owned(),
            String::new(),
        ] {
            assert_eq!(pointer(text.as_bytes()), None, "{text}");
        }
    }
}
