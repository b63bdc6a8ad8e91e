//! Tables for people: aligned columns, at most as wide as the terminal.

use console::measure_text_width;

use super::terminal;

/// The spaces between two columns.
const GAP: usize = 2;

/// A narrower column is unreadable.
const LEAST: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// The column is left-aligned and never cut: ids, which people copy.
    Whole,
    /// The column is right-aligned and never cut.
    Number,
    /// The column is left-aligned, and cut if the line is too long.
    Text,
}

pub(super) struct Table {
    columns: Vec<Column>,
    /// The columns that are dropped first on a narrow terminal.
    spare: Vec<usize>,
    /// The rows, beginning with the head.
    lines: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: impl IntoIterator<Item = (impl Into<String>, Column)>) -> Self {
        let (names, columns) = head.into_iter().map(|(name, column)| (name.into(), column)).unzip();
        Table { columns, spare: Vec::new(), lines: vec![names] }
    }

    /// Sets the columns that a narrow terminal drops, in this order. The JSON output has all of them.
    pub(super) fn sparing(mut self, names: &[&str]) -> Self {
        let head = self.lines.first().map(Vec::as_slice).unwrap_or_default();
        let place = |name: &&str| head.iter().position(|column| column == name);
        self.spare = names.iter().filter_map(place).collect();
        self
    }

    /// Adds a row with a cell for each column.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.lines.push(cells.into_iter().map(|cell| terminal::on_one_line(cell.as_ref())).collect());
    }

    /// Formats the rows, each with a line end. `width` is the terminal's. Without it, nothing is cut or dropped.
    pub(super) fn text(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        for line in &self.lines {
            let mut row = String::new();
            for (column, width) in &widths {
                let cell = console::truncate_str(&line[*column], *width, "…");
                let room = " ".repeat(width.saturating_sub(measure_text_width(&cell)));
                match self.columns[*column] {
                    Column::Number => row.extend([&room, &*cell]),
                    Column::Whole | Column::Text => row.extend([&*cell, &room]),
                }
                row.push_str(&" ".repeat(GAP));
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
        text
    }

    /// Returns the shown columns with their widths. If they need too much space, spare columns are dropped until the others fit at
    /// their minimum. Then the widest columns that may be cut shrink first.
    fn widths(&self, most: Option<usize>) -> Vec<(usize, usize)> {
        let needed = |column: usize| self.lines.iter().map(|line| measure_text_width(&line[column])).max().unwrap_or(0);
        let mut widths: Vec<(usize, usize)> = (0..self.columns.len()).map(|column| (column, needed(column))).collect();
        let Some(most) = most else { return widths };
        let narrowest = |(column, width): &(usize, usize)| match self.columns[*column] {
            Column::Text => (*width).min(LEAST),
            Column::Whole | Column::Number => *width,
        };
        for spare in &self.spare {
            if in_all(widths.iter().map(narrowest)) <= most {
                break;
            }
            widths.retain(|(column, _)| column != spare);
        }
        let mut over = in_all(widths.iter().map(|(_, width)| *width)).saturating_sub(most);
        while over > 0 {
            let cut = widths.iter_mut().filter(|(column, _)| self.columns[*column] == Column::Text);
            let Some(widest) = cut.map(|(_, width)| width).max().filter(|width| **width > LEAST) else { break };
            *widest -= 1;
            over -= 1;
        }
        widths
    }
}

/// Returns the width of a row whose columns have these widths.
fn in_all(widths: impl ExactSizeIterator<Item = usize>) -> usize {
    GAP * widths.len().saturating_sub(1) + widths.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::{Column, Table};

    #[test]
    fn columns_stand_below_each_other_and_fit() {
        let mut table = Table::new([("ID", Column::Whole), ("COST", Column::Number), ("MESSAGE", Column::Text)]);
        table.row(["a1", "$0.0525", "a message that\ngoes on and on"]);
        table.row(["b22", "$10.0", "日本語 日本語 日本語 日本語"]);
        assert_eq!(
            table.text(None),
            "\
ID      COST  MESSAGE
a1   $0.0525  a message that goes on and on
b22    $10.0  日本語 日本語 日本語 日本語
"
        );
        let narrow = table.text(Some(30));
        assert_eq!(narrow.lines().nth(1), Some("a1   $0.0525  a message that …"));
        assert!(narrow.lines().all(|line| console::measure_text_width(line) <= 30), "{narrow}");
        // Spare columns are dropped only before others become too narrow.
        let spared = table.sparing(&["COST"]);
        assert_eq!(spared.text(Some(24)).lines().nth(1), Some("a1   $0.0525  a message…"));
        assert_eq!(spared.text(Some(20)).lines().nth(1), Some("a1   a message that…"));
        let table = spared.sparing(&[]);
        // A column that is never cut stays, however narrow the terminal is.
        assert!(table.text(Some(5)).contains("b22    $10.0  日本語"), "{}", table.text(Some(5)));
    }
}
