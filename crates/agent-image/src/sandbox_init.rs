//! The `sandbox-init` binary: the embedded one, or a file.

use std::fs;
use std::path::Path;

use super::ImageError;

// `EMBEDDED` is the binary that existed when this crate was built.
include!(concat!(env!("OUT_DIR"), "/sandbox_init.rs"));

/// Field values of the ELF header: <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>.
const MAGIC_64_BIT_LITTLE_ENDIAN: &[u8] = b"\x7fELF\x02\x01";
const MACHINE_X86_64: u16 = 62;
const MACHINE_AARCH64: u16 = 183;
const SEGMENT_INTERPRETER: u32 = 3;

/// The static program that becomes PID 1 of every sandbox.
#[derive(Debug)]
pub(super) struct SandboxInit(Vec<u8>);

impl SandboxInit {
    /// Loads `file`, or the embedded binary. It must be built for `architecture` and must not need a dynamic linker,
    /// because an image of another distribution may not have that linker.
    pub(super) fn load(file: Option<&Path>, architecture: &str) -> Result<Self, ImageError> {
        let (name, bytes) = match (file, EMBEDDED) {
            (Some(path), _) => {
                let bytes = fs::read(path).map_err(|source| ImageError::Read { path: path.to_owned(), source })?;
                (path.display().to_string(), bytes)
            }
            (None, Some(bytes)) => ("the embedded program".to_owned(), bytes.to_vec()),
            (None, None) => return Err(ImageError::NoSandboxInit),
        };
        match unusable(&bytes, architecture) {
            Some(reason) => Err(ImageError::SandboxInit { name, reason }),
            None => Ok(Self(bytes)),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

fn unusable(program: &[u8], architecture: &str) -> Option<String> {
    if !program.starts_with(MAGIC_64_BIT_LITTLE_ENDIAN) {
        return Some("it is not a 64-bit Linux program".to_owned());
    }
    let machine = number(program, 0x12, 2).and_then(|machine| u16::try_from(machine).ok());
    let machine = match machine {
        Some(MACHINE_X86_64) => "x86_64",
        Some(MACHINE_AARCH64) => "aarch64",
        Some(_) | None => "another machine",
    };
    if machine != architecture {
        return Some(format!("it is built for {machine}, but the engine's machine is {architecture}"));
    }
    match has_interpreter(program) {
        Some(false) => None,
        Some(true) => Some("it is linked dynamically".to_owned()),
        None => Some("it is truncated".to_owned()),
    }
}

/// True if the program needs a dynamic linker. `None` if the program headers are incomplete.
fn has_interpreter(program: &[u8]) -> Option<bool> {
    let table = number(program, 0x20, 8)?;
    let entry_bytes = number(program, 0x36, 2)?;
    let entries = number(program, 0x38, 2)?;
    for index in 0..entries {
        let at = usize::try_from(table.checked_add(index.checked_mul(entry_bytes)?)?).ok()?;
        if number(program, at, 4)? == u64::from(SEGMENT_INTERPRETER) {
            return Some(true);
        }
    }
    Some(false)
}

/// Reads a little-endian number of at most 8 bytes.
fn number(program: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let field = program.get(at..at.checked_add(bytes)?)?;
    Some(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests;
