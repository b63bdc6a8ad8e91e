//! Pkt-lines: four hexadecimal digits of the whole length, then the content; `0000` is a flush packet (gitprotocol-common).

use super::commands::PushError;

pub(super) enum Packet<'a> {
    Flush,
    Line(&'a [u8]),
}

/// The first packet and its length. `None`: more bytes are needed.
pub(super) fn packet(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, PushError> {
    const DIGITS: usize = 4;

    let Some(digits) = bytes.get(..DIGITS) else { return Ok(None) };
    let length = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let length = length.and_then(|digits| usize::from_str_radix(digits, 16).ok());
    match length.ok_or(PushError::Malformed("a packet without a length"))? {
        0 => Ok(Some((Packet::Flush, DIGITS))),
        length if length <= DIGITS => Err(PushError::Malformed("an empty packet")),
        length => Ok(bytes.get(DIGITS..length).map(|line| (Packet::Line(line), length))),
    }
}

/// The content of every packet up to the flush packet, or to the end.
pub(super) fn lines(mut bytes: &[u8]) -> Result<Vec<&[u8]>, PushError> {
    let mut lines = Vec::new();
    while let Some((packet, length)) = packet(bytes)? {
        let Packet::Line(line) = packet else { break };
        lines.push(line);
        bytes = &bytes[length..];
    }
    Ok(lines)
}

pub(super) fn encode(content: &[u8]) -> Vec<u8> {
    let mut packet = format!("{:04x}", content.len() + 4).into_bytes();
    packet.extend_from_slice(content);
    packet
}
