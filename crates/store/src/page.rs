//! Paged lists.

use std::fmt;
use std::str::FromStr;

/// One page of a list, and the position of the next page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None` on the last page.
    pub next: Option<Cursor>,
}

/// A position in a list that stays valid while the list grows. Its text is opaque to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(i64);

#[derive(Debug, thiserror::Error)]
#[error("this is not a cursor of this server")]
pub struct InvalidCursor;

impl Cursor {
    /// The position after the row of this number, in the direction of its list.
    pub(super) const fn after(number: i64) -> Self {
        Cursor(number)
    }

    pub(super) const fn number(self) -> i64 {
        self.0
    }
}

impl<T> Page<T> {
    /// Builds a page from numbered rows, of which some may be damaged: these are left out. The query reads one row more
    /// than the limit: if it exists, there is a next page.
    pub(super) fn from_rows(mut rows: Vec<(i64, Option<T>)>, limit: usize) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(number, _)| Cursor::after(*number));
        Page { items: rows.into_iter().filter_map(|(_, item)| item).collect(), next }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        i64::from_str_radix(text, 16).ok().filter(|number| *number >= 0).map(Cursor).ok_or(InvalidCursor)
    }
}
