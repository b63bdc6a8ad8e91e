use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{AuditFile, AuditRetention, MAX_BYTES};

#[test]
fn lines_are_appended_and_a_full_file_is_put_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    std::fs::write(&path, "before\n").unwrap();
    let mut file = AuditFile::open(&path, AuditRetention::default(), Arc::default()).unwrap();
    file.write_all(b"one\n").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\none\n");
    file.open.lock().unwrap().bytes = MAX_BYTES;
    file.write_all(b"two\n").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn renamed_files_are_kept_up_to_an_age_and_a_size() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let now = Timestamp::now().as_millisecond();
    let hour = 3_600_000;
    for (name, bytes) in [
        (format!("audit.{}.log", now - 3 * hour), 10),
        (format!("audit.{}.log", now - 2 * hour), 10),
        (format!("audit.{}.log", now - hour), 10),
        ("audit.other.log".to_owned(), 10),
        ("other.1.log".to_owned(), 10),
    ] {
        std::fs::write(directory.path().join(name), "x".repeat(bytes)).unwrap();
    }
    let left = |retention| {
        AuditFile::open(&path, retention, Arc::default()).unwrap();
        let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name != "audit.other.log" && name != "other.1.log" && name != "audit.log").count()
    };
    assert_eq!(left(AuditRetention::default()), 3);
    assert_eq!(left(AuditRetention { max_bytes: Some(MAX_BYTES + 31), ..AuditRetention::default() }), 3);
    assert_eq!(left(AuditRetention { max_age: Some(Duration::from_mins(150)), ..AuditRetention::default() }), 2);
    assert_eq!(left(AuditRetention { max_bytes: Some(MAX_BYTES + 15), ..AuditRetention::default() }), 1);
    assert_eq!(left(AuditRetention { max_bytes: Some(1), ..AuditRetention::default() }), 0);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);
}
