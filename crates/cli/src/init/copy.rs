//! Copies all files of another template.

use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Copies a directory's content with modes. Links stay links. Entries that cannot be part of a template, like a socket, are
/// omitted.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, source, target) = (entry.file_type()?, entry.path(), to.join(entry.file_name()));
        if kind.is_dir() {
            std::fs::create_dir(&target)?;
            copy(&source, &target)?;
            std::fs::set_permissions(&target, source.metadata()?.permissions())?;
        } else if kind.is_symlink() {
            symlink(std::fs::read_link(&source)?, &target)?;
        } else if kind.is_file() {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
