//! The two identifiers of a session: the caller's id and the internal key.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use icu_properties::props::{
    BidiControl, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, WhiteSpace,
};
use icu_properties::{CodePointMapData, CodePointSetData};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// The caller's name for a session: 1 to 128 visible characters without `/`, no blank at either end, and neither `.` nor `..`. It
/// is never part of a path of the file system, but it is part of URLs.
///
/// Parsing holds new ids to these rules. [`SessionId::existing`] and deserialising do not: the store may contain ids that an earlier
/// version accepted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct SessionId(Arc<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSessionId {
    #[error("a session id has 1 to {} characters", SessionId::MAX_CHARS)]
    Length,
    #[error("a session id cannot contain '/'")]
    Slash,
    #[error("a session id cannot begin or end with a space")]
    Space,
    #[error("`.` and `..` cannot be session ids: URLs treat them as steps in a path")]
    Dots,
    #[error(
        "a session id cannot contain U+{:04X}: control characters, invisible characters and characters that change the \
         direction of text are refused",
        u32::from(*.0)
    )]
    Invisible(char),
}

impl SessionId {
    pub const MAX_CHARS: usize = 128;

    /// An id from the store, as it is. There is no `From<String>`: argument parsers would prefer it to the checked `FromStr`.
    pub fn stored(text: String) -> SessionId {
        SessionId(text.into())
    }

    /// An id that a caller gives for a session that may exist. A blank at either end and the blank of Braille were accepted once.
    pub fn existing(text: &str) -> Result<SessionId, InvalidSessionId> {
        match text.parse() {
            Err(InvalidSessionId::Space | InvalidSessionId::Invisible(BRAILLE_BLANK)) => {
                let without: String = text.trim_matches(' ').chars().filter(|one| *one != BRAILLE_BLANK).collect();
                match without.parse::<SessionId>() {
                    // Nothing else is wrong with it.
                    Ok(_) | Err(InvalidSessionId::Length | InvalidSessionId::Dots) => Ok(SessionId(text.into())),
                    Err(error) => Err(error),
                }
            }
            parsed => parsed,
        }
    }

    /// Checks the id of a session that is to be made.
    pub fn check_new(&self) -> Result<(), InvalidSessionId> {
        self.0.parse::<SessionId>().map(drop)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    /// Checks a new id.
    fn from_str(text: &str) -> Result<Self, InvalidSessionId> {
        if !(1..=Self::MAX_CHARS).contains(&text.chars().count()) {
            return Err(InvalidSessionId::Length);
        }
        if text.contains('/') {
            return Err(InvalidSessionId::Slash);
        }
        if text == "." || text == ".." {
            return Err(InvalidSessionId::Dots);
        }
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err(InvalidSessionId::Space);
        }
        match text.chars().find(|character| is_invisible(*character)) {
            Some(character) => Err(InvalidSessionId::Invisible(character)),
            None => Ok(SessionId(text.into())),
        }
    }
}

const BRAILLE_BLANK: char = '\u{2800}';

/// True for a character that would let two ids look the same in a log or on a page. Unicode's properties decide, so that a new
/// version of Unicode is covered by a new version of its data. The ordinary space is the one blank that is accepted. The blank of
/// Braille has no property that identifies it: for Unicode it is a symbol like the other patterns.
fn is_invisible(character: char) -> bool {
    let category = GeneralCategoryGroup::Control
        .union(GeneralCategoryGroup::Format)
        .union(GeneralCategoryGroup::LineSeparator)
        .union(GeneralCategoryGroup::ParagraphSeparator)
        .union(GeneralCategoryGroup::Unassigned)
        .union(GeneralCategoryGroup::PrivateUse);
    character == BRAILLE_BLANK
        || category.contains(CodePointMapData::<GeneralCategory>::new().get(character))
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        || CodePointSetData::new::<BidiControl>().contains(character)
        || (character != ' ' && CodePointSetData::new::<WhiteSpace>().contains(character))
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(SessionId::stored)
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> String {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The internal identifier of a session. It names volumes and database rows. A session that is created again after its
/// deletion gets a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(Uuid);

impl SessionKey {
    pub fn generate() -> Self {
        SessionKey(Uuid::now_v7())
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        SessionKey(Uuid::from_bytes(bytes))
    }
}

impl FromStr for SessionKey {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(SessionKey)
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.simple(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidSessionId, SessionId};

    #[test]
    fn session_ids_are_visible_and_short() {
        for good in ["a", "user-123", "...", ".a", "名前", "नमस्ते", "with space", "é", "\u{65}\u{301}", &"x".repeat(128)]
        {
            assert!(good.parse::<SessionId>().is_ok(), "{good:?}");
        }
        for (bad, reason) in [
            ("", InvalidSessionId::Length),
            (&*"x".repeat(129), InvalidSessionId::Length),
            ("a/b", InvalidSessionId::Slash),
            (".", InvalidSessionId::Dots),
            ("..", InvalidSessionId::Dots),
            (" ", InvalidSessionId::Space),
            (" a", InvalidSessionId::Space),
            ("a ", InvalidSessionId::Space),
        ] {
            assert_eq!(bad.parse::<SessionId>(), Err(reason), "{bad:?}");
        }
    }

    /// One character of each property that is refused.
    #[test]
    fn session_ids_hide_nothing() {
        for hidden in [
            '\0',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{e000}',
            '\u{1d173}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{10ffff}',
        ] {
            let id = format!("a{hidden}b");
            assert_eq!(id.parse::<SessionId>(), Err(InvalidSessionId::Invisible(hidden)), "{hidden:?}");
        }
    }

    #[test]
    fn ids_of_earlier_versions_still_name_their_sessions() {
        for id in ["bob ", " bob", " ", "\u{2800}", "a\u{2800}b ", " . "] {
            assert!(id.parse::<SessionId>().is_err(), "{id:?}");
            assert_eq!(SessionId::existing(id).unwrap().as_str(), id);
        }
        for id in ["", ".", "..", "a/b ", "a\u{200b} ", "\u{2800}\n", &format!(" {}", "x".repeat(128))] {
            assert!(SessionId::existing(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn an_id_in_the_store_is_read_as_it_is() {
        let stored: SessionId = serde_json::from_str(r#""..""#).unwrap();
        assert_eq!(stored.as_str(), "..");
    }
}
