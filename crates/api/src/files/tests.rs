use sandbox::{ArchiveEntry, EntryKind};

use super::export::header;
use super::kind::{FileKind, SNIFFED, disposition, of};
use super::parts;

#[test]
fn a_path_has_parts_that_mean_only_themselves() {
    assert_eq!(parts("").unwrap(), Vec::<String>::new());
    assert_eq!(parts("a/b c/").unwrap(), ["a", "b c"]);
    assert_eq!(parts("..a/b\nc").unwrap(), ["..a", "b\nc"]);
    for path in ["..", "a/../b", "a/..", "./a", "a//b", "/a", "a\0b", "//", &"a/".repeat(33), &"a".repeat(4096)] {
        assert!(parts(path).is_err(), "{path}");
    }
}

#[test]
fn a_browser_is_given_nothing_that_it_runs() {
    assert_eq!(of(b"<html><script>alert(1)</script>"), FileKind::Text);
    assert_eq!(of(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), FileKind::Text);
    assert_eq!(of(b"%PDF-1.7 \xff"), FileKind::Bytes);
    assert_eq!(of(b"a\0b"), FileKind::Bytes);
    assert_eq!(of(b"\x89PNG\r\n\x1a\n<script>"), FileKind::Png);
    assert_eq!(of("ä".repeat(SNIFFED).as_bytes()), FileKind::Text);
    assert_eq!(of(format!("x{}", "ä".repeat(SNIFFED)).as_bytes()), FileKind::Text, "cut in a character");
    assert_eq!(of("ä".as_bytes().split_last().unwrap().1), FileKind::Bytes);

    let odd = "a\"; x=\r\n\u{202e}ü\\.html";
    let value = disposition(odd, false);
    let text = value.to_str().unwrap();
    assert_eq!(
        text,
        "attachment; filename=\"a__ x______.html\"; filename*=UTF-8''a%22%3B%20x%3D%0D%0A%E2%80%AE%C3%BC%5C%2Ehtml"
    );
    assert!(disposition("a", true).to_str().unwrap().starts_with("inline; "));
}

fn entry(path: &str, kind: EntryKind, target: Option<&str>) -> ArchiveEntry {
    let target = target.map(|target| target.as_bytes().to_vec());
    ArchiveEntry { path: path.as_bytes().to_vec(), kind, size: 0, modified: -1, mode: 0o7777, target }
}

#[test]
fn an_export_has_nothing_that_reaches_out_of_where_it_is_unpacked() {
    let link = |target| header(&entry("w/a/link", EntryKind::Symlink, Some(target)));
    for target in ["x", "./x/y", "../b", "..", "../b/c"] {
        assert!(link(target).is_some(), "{target}");
    }
    for target in ["/etc/passwd", "../..", "../../x", "x/../../../etc", "x/..", ""] {
        assert!(link(target).is_none(), "{target}");
    }
    for path in ["/etc/passwd", "../x", "w/../../x", "", "./x", &"d/".repeat(300)] {
        assert!(header(&entry(path, EntryKind::File, None)).is_none(), "{path}");
    }
    assert!(header(&entry("w/hard", EntryKind::HardLink, Some("w/x"))).is_none());
    assert!(header(&entry("w/device", EntryKind::Other, None)).is_none());

    let long = format!("w/{}", "n".repeat(250));
    let written = header(&entry(&long, EntryKind::File, None)).unwrap();
    let mut archive = tar::Archive::new(written.as_ref());
    let read = archive.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(read.path().unwrap().to_str().unwrap(), long);
    assert_eq!(read.header().mode().unwrap(), 0o777, "no set-user-id");
}
