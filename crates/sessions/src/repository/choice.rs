//! The repository that a prompt names, found without a model.

use domain::repository::RepositoryName;
use forge::Repository;

/// The result for a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The prompt names one repository, or only one name fits.
    One(RepositoryName),
    /// Several fit, or none is named: an orchestrator has to read the prompt.
    Open(Vec<Candidate>),
}

/// A repository that the prompt may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub name: RepositoryName,
    pub description: String,
}

/// The number of candidates that are offered.
const MAX_CANDIDATES: usize = 200;

/// Finds `OWNER/NAME`, the address of a repository, and the names of `known` as words of the prompt. Archived
/// repositories accept no push and are left out.
pub fn choose(prompt: &str, known: &[Repository]) -> Choice {
    let known: Vec<&Repository> = known.iter().filter(|repository| !repository.archived).collect();
    let full = unique(words(prompt).filter_map(|word| full_name(word, &known)));
    if let [name] = &full[..] {
        return Choice::One(name.clone());
    }
    let named = unique(words(prompt).flat_map(|word| {
        let fits = known.iter().filter(move |repository| repository.full_name.name().eq_ignore_ascii_case(word));
        fits.map(|repository| repository.full_name.clone())
    }));
    if let ([], [name]) = (&full[..], &named[..]) {
        return Choice::One(name.clone());
    }
    let in_question = if full.is_empty() { named } else { full };
    let candidates =
        known.iter().filter(|repository| in_question.is_empty() || in_question.contains(&repository.full_name)).map(
            |repository| Candidate { name: repository.full_name.clone(), description: repository.description.clone() },
        );
    Choice::Open(candidates.take(MAX_CANDIDATES).collect())
}

/// The words of a text without the punctuation around them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_edge = |c: char| !(c.is_alphanumeric() || c == '/' || c == '_');
    text.split_whitespace().map(move |word| word.trim_matches(is_edge)).filter(|word| !word.is_empty())
}

/// `OWNER/NAME`, alone or at the end of an address. A path like `src/main.rs` looks the same, so a bare name has to be
/// known; an address is unambiguous.
fn full_name(word: &str, known: &[&Repository]) -> Option<RepositoryName> {
    let bare = word.strip_suffix(".git").unwrap_or(word);
    if let Some((_, address)) = bare.split_once("://") {
        let mut parts = address.split('/').skip(1);
        let (owner, name) = (parts.next()?, parts.next()?);
        return format!("{owner}/{name}").parse().ok();
    }
    let name: RepositoryName = bare.parse().ok()?;
    known.iter().any(|repository| repository.full_name == name).then_some(name)
}

fn unique(names: impl Iterator<Item = RepositoryName>) -> Vec<RepositoryName> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Choice, choose};
    use forge::Repository;

    fn known() -> Vec<Repository> {
        let names = ["acme/acme-api", "acme/acme-web", "acme/docs", "other/docs", "acme/old"];
        let repository = |name: &&str| Repository {
            full_name: name.parse().unwrap(),
            description: String::new(),
            default_branch: "main".to_owned(),
            archived: *name == "acme/old",
            size: 0,
        };
        names.iter().map(repository).collect()
    }

    fn one(prompt: &str) -> Option<String> {
        match choose(prompt, &known()) {
            Choice::One(name) => Some(name.to_string()),
            Choice::Open(_) => None,
        }
    }

    #[test]
    fn what_is_named_is_chosen() {
        for (prompt, name) in [
            ("In the acme-api repo, fix the token refresh bug", "acme/acme-api"),
            ("Fix the bug in `ACME-API`.", "acme/acme-api"),
            ("other/docs: mend the links", "other/docs"),
            ("See https://github.com/acme/docs/issues/3 and fix it", "acme/docs"),
            ("Clone https://github.com/somebody/else.git", "somebody/else"),
            ("In acme/acme-api, change src/main.rs", "acme/acme-api"),
        ] {
            assert_eq!(one(prompt).as_deref(), Some(name), "{prompt}");
        }
    }

    #[test]
    fn what_is_not_clear_stays_open() {
        for (prompt, candidates) in [
            ("Fix the token refresh bug", 4),
            ("Mend the links in docs", 2),
            ("Copy the header of acme-web to acme-api", 2),
            ("Move it from acme/docs to other/docs", 2),
            ("Wake acme/old up", 4),
        ] {
            let Choice::Open(open) = choose(prompt, &known()) else { panic!("{prompt} was decided") };
            assert_eq!(open.len(), candidates, "{prompt}");
        }
    }
}
