//! Tables in Markdown.

/// The cells of one row, without the spaces around them.
pub(crate) type Row = Vec<String>;

/// Returns the rows of the first table after a heading, without its head. Panics if the table is missing, because a test that
/// compares nothing must not pass.
pub(crate) fn rows_below(text: &str, heading: &str) -> Vec<Row> {
    let after = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading:?}")).1;
    let section = after.split("\n## ").next().unwrap_or_default();
    let table = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let rows: Vec<Row> = table.skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "there is no table below {heading:?}");
    rows
}

/// Returns the rows of all tables in the section of a heading and its subsections, without the heads.
pub(crate) fn all_rows_below(text: &str, heading: &str) -> Vec<Row> {
    let after = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading:?}")).1;
    let section = after.split("\n## ").next().unwrap_or_default();
    let tables = section.split("\n\n").filter(|paragraph| paragraph.starts_with('|'));
    tables.flat_map(|table| table.lines().skip(2).map(cells)).collect()
}

fn cells(line: &str) -> Row {
    // A bar inside a cell is written `\|`.
    let line = line.replace("\\|", "\u{0}");
    line.trim_matches('|').split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

/// Returns the first code span of a cell, or nothing.
pub(crate) fn code(cell: &str) -> String {
    cell.split('`').nth(1).unwrap_or_default().to_owned()
}
