//! The README stays short, and the table of contents is complete.

use std::collections::BTreeSet;

use super::links::{links, prose};
use super::sources::{pages, read};

const README_MAX_LINES: usize = 220;
const README_MAX_BYTES: usize = 12 * 1024;

#[test]
fn the_readme_is_short() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= README_MAX_LINES, "{} lines", readme.lines().count());
    assert!(readme.len() <= README_MAX_BYTES, "{} bytes", readme.len());
}

/// mdBook builds only the pages that SUMMARY.md lists.
#[test]
fn the_table_of_contents_has_every_page_once() {
    let listed = links(&prose(&read("docs/SUMMARY.md")));
    let ours = listed.iter().filter(|link| !link.starts_with("../")).map(|link| format!("docs/{link}"));
    let expected: Vec<String> = pages().into_iter().filter(|page| page != "docs/SUMMARY.md").collect();
    assert_eq!(ours.collect::<BTreeSet<_>>(), expected.into_iter().collect());
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len(), "a page is listed twice");
}
