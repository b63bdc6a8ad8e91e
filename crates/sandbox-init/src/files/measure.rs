use super::failed::Failed;
use super::meter::Meter;
use super::place::{Path, Root};
use super::walk::{Found, Visitor, walk};

/// The unit of `st_blocks`, in bytes.
const BLOCK: u64 = 512;

/// Adds up the space on the disk of everything below a directory. A hard link counts once for each name.
pub(super) fn measure(root: &Root, path: &Path, meter: &mut Meter) -> Result<(), Failed> {
    walk(root.directory(path)?, meter, &mut Measurer)
}

struct Measurer;

impl Visitor for Measurer {
    fn found(&mut self, found: &Found<'_>, meter: &mut Meter) -> Result<(), Failed> {
        meter.add_bytes(u64::try_from(found.stat.st_blocks).unwrap_or_default().saturating_mul(BLOCK));
        Ok(())
    }
}
