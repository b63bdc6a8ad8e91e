//! Reads the text files of a template.

use std::io;
use std::path::Path;

use super::TemplateError;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Reads a text file in UTF-8, without the byte order mark that some editors write. `None` if there is no such file.
pub(super) fn read_optional(path: &Path) -> Result<Option<String>, TemplateError> {
    match std::fs::read(path) {
        Ok(bytes) => decode(path, &bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => Ok(None),
        Err(source) => Err(TemplateError::Read { path: path.to_owned(), source }),
    }
}

fn decode(path: &Path, bytes: &[u8]) -> Result<String, TemplateError> {
    let unmarked = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let wrong = |offset: usize, reason: String| {
        let before = String::from_utf8_lossy(&unmarked[..offset]);
        let (line, column) = place(&before, before.len());
        TemplateError::At { path: path.to_owned(), line, column, reason }
    };
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(wrong(0, "the file is UTF-16; save it as UTF-8".to_owned()));
    }
    match std::str::from_utf8(unmarked) {
        Ok(text) => match text.find('\0') {
            None => Ok(text.to_owned()),
            Some(offset) => Err(wrong(offset, "there is a NUL byte; the file must be text in UTF-8".to_owned())),
        },
        Err(error) => {
            let offset = error.valid_up_to();
            let byte = unmarked.get(offset).copied().unwrap_or_default();
            let reason = format!("the byte 0x{byte:02X} is not UTF-8, as in a file in Latin-1; save the file as UTF-8");
            Err(wrong(offset, reason))
        }
    }
}

/// Line and column of a byte, both counted from 1.
pub(super) fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_begin = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_begin..].chars().count() + 1)
}
