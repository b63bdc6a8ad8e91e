use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use super::{AuditFile, MAX_BYTES};

#[test]
fn lines_are_appended_and_a_full_file_is_put_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    std::fs::write(&path, "before\n").unwrap();
    let mut file = AuditFile::open(&path, Arc::default()).unwrap();
    file.write_all(b"one\n").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\none\n");
    file.open.lock().unwrap().bytes = MAX_BYTES;
    file.write_all(b"two\n").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
}
