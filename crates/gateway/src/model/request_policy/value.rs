//! The values that decide about a request.
//!
//! An agent chooses their size: a megabyte of `[0,0,…]` would take 40 in memory. So a value is kept as the slice of the body that it
//! is, and only a short string is read.

use serde_json::value::RawValue;

use crate::bound::Contents;

/// The longest value that is compared: kinds of tools, media types and tiers have at most 60 characters.
const MAX_BYTES: usize = 256;

/// Returns the text of a short string. `None`: the value is another one, and equals nothing that is known.
pub(super) fn short_text(value: &RawValue) -> Option<String> {
    let json = value.get();
    if json.len() > MAX_BYTES { None } else { serde_json::from_str(json).ok() }
}

pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Returns a whole number. Any other value is 0.
pub(super) fn number(value: &RawValue) -> u64 {
    let json = value.get();
    if json.len() > MAX_BYTES { 0 } else { serde_json::from_str(json).unwrap_or_default() }
}

/// The source of an image or a document. A field may be there twice, and the API may read either, so the dearer reading counts.
#[derive(Default)]
pub(super) struct Source {
    bytes: u64,
    is_image: Option<bool>,
    is_text: Option<bool>,
}

impl Source {
    pub(super) fn read(&mut self, field: &str, value: &RawValue) {
        let both = |earlier: Option<bool>, now: bool| Some(earlier.unwrap_or(true) && now);
        let is_one_of = |is_one: fn(&str) -> bool| short_text(value).is_some_and(|text| is_one(&text));
        match field {
            "data" if value.get().starts_with('"') => self.bytes += value.get().len().saturating_sub(2) as u64,
            "data" => {}
            "media_type" => {
                self.is_image = both(self.is_image, is_one_of(|media_type| media_type.starts_with("image/")));
            }
            _ => self.is_text = both(self.is_text, is_one_of(|kind| matches!(kind, "text" | "content"))),
        }
    }

    pub(super) fn add_to(&self, contents: &mut Contents) {
        if self.bytes == 0 || self.is_text == Some(true) {
            return;
        }
        if self.is_image == Some(true) {
            contents.images += 1;
        } else {
            contents.documents += 1;
        }
        contents.attached_bytes += self.bytes;
    }
}
