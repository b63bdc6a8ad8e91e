//! Paged lists.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rusqlite::{Row, Rows};

use crate::StoreError;

/// The size at which a page ends, however many rows its caller asks for. A page never ends before its first row.
pub const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The time after which a page ends. Rows with long columns take milliseconds each, because SQLite walks through all of a row
/// to reach its last column.
const PAGE_TIME: Duration = Duration::from_millis(500);

/// One page of a list, and the position of the next page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The position after each item, for a caller that shows fewer of them.
    pub positions: Vec<Cursor>,
    /// `None` on the last page.
    pub next: Option<Cursor>,
    /// The search ended before it had examined everything.
    pub partial: bool,
}

/// Collects a page until it has reached one of its bounds.
pub(super) struct PageBuilder<T> {
    page: Page<T>,
    limit: usize,
    /// The rows that were read, with the damaged ones.
    rows: usize,
    bytes: usize,
    /// The position after the row that was read last.
    last: Option<Cursor>,
    began: Instant,
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

/// Reads a page of at most `limit` rows from a query that returns one row more, if there is one. `read` returns a row's number,
/// and, where the row is not damaged, its size in memory and its item.
pub(super) fn read_page<T>(
    rows: &mut Rows<'_>,
    limit: usize,
    mut read: impl FnMut(&Row<'_>) -> Result<(i64, Option<(usize, T)>), StoreError>,
) -> Result<Page<T>, StoreError> {
    let mut page = PageBuilder::new(limit);
    while let Some(row) = rows.next()? {
        if page.is_full() {
            return Ok(page.with_next());
        }
        match read(row)? {
            (number, Some((bytes, item))) => page.push(number, bytes, item),
            (number, None) => page.skip(number),
        }
    }
    Ok(page.last())
}

impl<T> PageBuilder<T> {
    pub(super) fn new(limit: usize) -> Self {
        let page = Page { items: Vec::new(), positions: Vec::new(), next: None, partial: false };
        PageBuilder { page, limit, rows: 0, bytes: 0, last: None, began: Instant::now() }
    }

    pub(super) fn is_full(&self) -> bool {
        let is_late = self.rows > 0 && self.began.elapsed() >= PAGE_TIME;
        self.rows >= self.limit || self.bytes >= MAX_PAGE_BYTES || is_late
    }

    /// `bytes` is the size of the row in memory.
    pub(super) fn push(&mut self, number: i64, bytes: usize, item: T) {
        self.skip(number);
        self.bytes += bytes;
        self.page.items.push(item);
        self.page.positions.push(Cursor::after(number));
    }

    /// Leaves a damaged row out. It counts as a row, because a query reads only one row more than the limit.
    pub(super) fn skip(&mut self, number: i64) {
        self.rows += 1;
        self.last = Some(Cursor::after(number));
    }

    /// Returns the page of a list that continues.
    pub(super) fn with_next(mut self) -> Page<T> {
        self.page.next = self.last;
        self.page
    }

    /// The page of a search that ended early. `examined` is the position up to which it has looked.
    pub(super) fn partial(mut self, examined: Option<Cursor>) -> Page<T> {
        self.page.next = examined;
        self.page.partial = true;
        self.page
    }

    /// The last page of a list.
    pub(super) fn last(self) -> Page<T> {
        self.page
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
