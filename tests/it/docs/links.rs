//! Links between the documents lead to existing files and headings.

use std::path::{Path, PathBuf};

use super::sources::{pages, read, root};

/// Returns the documents for people, by their paths from the root.
fn documents() -> Vec<String> {
    let at_the_root = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    let beside =
        ["mock-api/README.md", "clients/typescript/README.md", "clients/python/README.md", "dashboard/README.md"];
    at_the_root.into_iter().chain(beside).map(str::to_owned).chain(pages()).collect()
}

/// Returns the text without code, in which brackets have other meanings.
pub(super) fn prose(text: &str) -> String {
    let outside: Vec<&str> = text.split("\n```").step_by(2).collect();
    outside.join("\n").split('`').step_by(2).collect()
}

/// Returns the targets of a text's links, without other sites. A link may have a title: `](target "title")`.
pub(super) fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| {
        let link = rest.split_once(')')?.0;
        Some(link.split(' ').next()?.to_owned())
    });
    targets.filter(|target| !target.contains("://")).collect()
}

/// Returns a heading's anchor in GitHub's form.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn has_anchor(path: &Path, wanted: &str) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings.map(anchor).any(|anchor| anchor == wanted)
}

#[test]
fn every_link_leads_somewhere() {
    let mut seen = 0;
    for document in documents() {
        let path = root().join(&document);
        for link in links(&prose(&read(&document))) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target: PathBuf = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{document} links to {link}, and there is no such file");
            assert!(heading.is_empty() || has_anchor(&target, heading), "{document} links to {link}: no such heading");
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}
