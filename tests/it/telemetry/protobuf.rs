//! The part of protobuf's encoding that spans need.

/// The value of one field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed(u64),
    /// A text, bytes, or a nested message.
    Bytes(&'a [u8]),
}

/// Returns the fields of a message with their numbers, in order.
pub(super) fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let field = match tag & 7 {
            0 => Field::Varint(varint(&mut bytes)),
            1 => Field::Fixed(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                Field::Bytes(take(&mut bytes, length))
            }
            5 => Field::Fixed(u32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap()).into()),
            other => panic!("no wire type: {other}"),
        };
        found.push((tag >> 3, field));
    }
    found
}

/// Returns all messages, texts or bytes in the field with this number.
pub(super) fn all(message: &[u8], number: u64) -> Vec<&[u8]> {
    let bytes = |(found, field)| match field {
        Field::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    };
    fields(message).into_iter().filter_map(bytes).collect()
}

/// Returns the text in the field with this number, or an empty text.
pub(super) fn text(message: &[u8], number: u64) -> String {
    String::from_utf8(all(message, number).concat()).unwrap()
}

/// Returns the number in the field with this number, or 0.
pub(super) fn number(message: &[u8], number: u64) -> u64 {
    let value = |(found, field)| match field {
        Field::Varint(value) | Field::Fixed(value) if found == number => Some(value),
        _ => None,
    };
    fields(message).into_iter().find_map(value).unwrap_or_default()
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a number that does not end");
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}
