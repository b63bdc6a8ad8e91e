//! The content type of a file for browsers.

use http::HeaderValue;

/// Bytes at a file's beginning that determine its type.
pub(super) const SNIFFED: usize = 8 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Text,
    Png,
    Jpeg,
    Gif,
    Webp,
    Bytes,
}

impl FileKind {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            FileKind::Text => "text/plain; charset=utf-8",
            FileKind::Png => "image/png",
            FileKind::Jpeg => "image/jpeg",
            FileKind::Gif => "image/gif",
            FileKind::Webp => "image/webp",
            FileKind::Bytes => "application/octet-stream",
        }
    }

    pub(super) const fn may_be_shown(self) -> bool {
        match self {
            FileKind::Text | FileKind::Png | FileKind::Jpeg | FileKind::Gif | FileKind::Webp => true,
            FileKind::Bytes => false,
        }
    }
}

/// Determines the type by the content alone: the name is the agent's choice.
pub(super) fn of(beginning: &[u8]) -> FileKind {
    match beginning {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => FileKind::Png,
        [0xff, 0xd8, 0xff, ..] => FileKind::Jpeg,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => FileKind::Gif,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => FileKind::Webp,
        text if is_text(text) => FileKind::Text,
        _ => FileKind::Bytes,
    }
}

fn is_text(beginning: &[u8]) -> bool {
    let looked_at = beginning.get(..SNIFFED).unwrap_or(beginning);
    let valid = match std::str::from_utf8(looked_at) {
        Ok(_) => true,
        // The last character may be cut off at the end of the examined bytes.
        Err(error) => error.error_len().is_none() && beginning.len() >= SNIFFED,
    };
    valid && !looked_at.contains(&0)
}

/// RFC 6266, with the name as RFC 8187 has it beside one in plain ASCII. A name cannot end the header or its own
/// quotes.
pub(super) fn disposition(name: &str, inline: bool) -> HeaderValue {
    let kind = if inline { "inline" } else { "attachment" };
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect();
    let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    let value = format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("attachment"))
}
