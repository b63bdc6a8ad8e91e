//! The key file that seals secrets in the store.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::check::Check;

const NAME: &str = "key-file";
const KEY_BYTES: u64 = 32;

/// `sealed`: the store was used before, so its key must exist.
pub(super) fn look(path: &Path, sealed: bool) -> Check {
    let shown = path.display();
    let file = match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return if sealed {
                Check::fail(
                    NAME,
                    format!("{shown} does not exist, but the store was sealed with a key"),
                    "put it back from a backup, or set SECRET_KEY_FILE to where it is",
                )
            } else {
                Check::ok(NAME, format!("{shown} does not exist yet; the first start creates it"))
            };
        }
        Err(error) => {
            let remedy = "run this as the user that the server runs as, or give that user the file";
            return Check::fail(NAME, format!("{shown} cannot be read: {error}"), remedy);
        }
    };
    let mode = file.permissions().mode() & 0o777;
    if !file.is_file() || file.len() != KEY_BYTES {
        let detail = format!("{shown} must be a file of exactly {KEY_BYTES} bytes, it has {}", file.len());
        return Check::fail(NAME, detail, "put the right one there, or set SECRET_KEY_FILE to where it is");
    }
    if mode & 0o077 != 0 {
        let detail = format!("{shown} has mode {mode:04o}, so others can read it");
        return Check::warn(NAME, detail, format!("`chmod 600 {shown}`"));
    }
    Check::ok(NAME, format!("{shown} is there, mode {mode:04o}"))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::check::Status;
    use super::look;

    #[test]
    fn a_key_is_private_and_has_its_length() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("secret.key");
        assert_eq!(look(&path, false).status, Status::Ok);
        assert_eq!(look(&path, true).status, Status::Fail);

        write(&path, [1; 32]).unwrap();
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(look(&path, true).status, Status::Ok);
        set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(look(&path, true).status, Status::Warn);
        write(&path, [1; 31]).unwrap();
        assert_eq!(look(&path, true).status, Status::Fail);
        assert_eq!(look(base.path(), true).status, Status::Fail);
    }
}
