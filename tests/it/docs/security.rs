//! SECURITY.md against the tests: a control without a test is a hope.

use std::path::PathBuf;

use super::sources::{read, root};
use super::tables::rows_below;

#[test]
fn every_control_names_tests_that_exist() {
    let rows = rows_below(&read("SECURITY.md"), "## Threats");
    assert!(rows.len() >= 15, "{} rows", rows.len());
    for row in rows {
        assert_eq!(row.len(), 5, "{row:?}");
        let tests: Vec<&str> = row[4].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test takes this control away: {row:?}");
        for test in tests {
            assert!(exists(test), "SECURITY.md names {test}");
        }
    }
}

/// `module::of::test`, below the integration tests or the coordinator's sources.
fn exists(test: &str) -> bool {
    let Some((module, function)) = test.rsplit_once("::") else { return false };
    let file = format!("{}.rs", module.replace("::", "/"));
    let places: [PathBuf; 3] =
        ["tests/it", "tests", "crates/coordinator/src"].map(|place| root().join(place).join(&file));
    let has = |text: String| text.contains(&format!("fn {function}("));
    places.into_iter().any(|path| std::fs::read_to_string(path).is_ok_and(has))
}
