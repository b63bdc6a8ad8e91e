use std::fs;
use std::path::Path;

use super::ImageError;

// `EMBEDDED`: the binary that was there when this program was built.
include!(concat!(env!("OUT_DIR"), "/sandbox_init.rs"));

/// Field values of ELF: <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>.
const MAGIC_64_BIT_LITTLE_ENDIAN: &[u8] = b"\x7fELF\x02\x01";
const MACHINE_X86_64: u16 = 62;
const MACHINE_AARCH64: u16 = 183;
const SEGMENT_INTERPRETER: u32 = 3;

/// The static program that becomes PID 1 in every sandbox.
#[derive(Debug)]
pub(super) struct SandboxInit(Vec<u8>);

impl SandboxInit {
    /// From `file`, else the one in this program. It must be for `architecture` and need no dynamic linker, which an image
    /// of another distribution may not have.
    pub(super) fn load(file: Option<&Path>, architecture: &str) -> Result<Self, ImageError> {
        let (name, bytes) = match (file, EMBEDDED) {
            (Some(path), _) => {
                let bytes = fs::read(path).map_err(|source| ImageError::Read { path: path.to_owned(), source })?;
                (path.display().to_string(), bytes)
            }
            (None, Some(bytes)) => ("the program built in".to_owned(), bytes.to_vec()),
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
        return Some(format!("it is for {machine} and the engine's machine is {architecture}"));
    }
    match has_interpreter(program) {
        Some(false) => None,
        Some(true) => Some("it is not linked statically".to_owned()),
        None => Some("it is cut off".to_owned()),
    }
}

/// Whether a dynamic linker is asked for. `None` when the program headers are not all there.
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

/// A little-endian number of at most 8 bytes.
fn number(program: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let field = program.get(at..at.checked_add(bytes)?)?;
    Some(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests;
