//! Compares SECURITY.md with the tests: every control must have a test.

use super::sources::read;
use super::tables::all_rows_below;

/// A row may be split, but removing one fails the test.
const MIN_ROWS: usize = 56;

#[test]
fn every_control_names_tests_that_exist() {
    let rows = all_rows_below(&read("SECURITY.md"), "## Threats");
    assert!(rows.len() >= MIN_ROWS, "{} rows", rows.len());
    for row in rows {
        assert_eq!(row.len(), 4, "{row:?}");
        let tests = tests(&row[3]);
        assert!(!tests.is_empty(), "no test takes this control away: {row:?}");
        for (file, function) in tests {
            assert!(read(file).contains(&format!("fn {function}(")), "SECURITY.md names {function} in {file}");
        }
    }
}

/// `[module](path/to/file.rs "function")`: the file and the function of each link.
fn tests(cell: &str) -> Vec<(&str, &str)> {
    let links = cell.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    let mut tests = Vec::new();
    for link in links {
        let (file, title) = link.split_once(' ').unwrap_or_else(|| panic!("{link} names no test"));
        tests.push((file, title.trim_matches('"')));
    }
    tests
}
