//! The repository that a prompt names, found without a model.
//!
//! | module | contains |
//! |---|---|
//! | `text` | the prompt as links and words |
//! | `mention` | how clearly a word names a repository |
//! | `ordinary_words` | words that are too common to name a repository by themselves |

mod mention;
mod ordinary_words;
#[cfg(test)]
mod tests;
mod text;

use domain::repository::RepositoryName;
use forge::{ForgeAddress, Repository};

use self::mention::{Clarity, Mentions};

/// The result for a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The prompt names this repository clearly, and no other one.
    One(RepositoryName),
    /// The prompt names these repositories equally clearly, and no word makes one of them the place of the work: its author has to
    /// say which one is meant.
    Tie(Vec<Candidate>),
    /// The prompt names several repositories in different roles, or none of them clearly: an orchestrator has to read it.
    Open(Vec<Candidate>),
}

/// A repository that the prompt may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub name: RepositoryName,
    pub description: String,
    /// The prompt has its name, or a word that is its name.
    pub named: bool,
}

/// The number of candidates that are offered.
const MAX_CANDIDATES: usize = 200;

/// Finds the repository that a prompt names: by a link of the forge, as `OWNER/NAME`, or by a name of `known`. The
/// clearest mentions decide. If they name several repositories, these are the candidates; it is a tie if all of them have the
/// same part in the sentence and the credential can push to several. Archived repositories accept no push, so only their full
/// name or a link selects them.
pub fn choose(prompt: &str, known: &[Repository], forge: &ForgeAddress) -> Choice {
    let mentions = Mentions::find(prompt, known, forge);
    let active = |name: &RepositoryName| known.iter().any(|known| known.full_name == *name && !known.archived);
    let full = mentions.of(Clarity::Full);
    let likely = mentions.of(Clarity::Likely);
    match (&full[..], &likely[..]) {
        // A repository to which the credential cannot push may be a mere reference, such as an upstream issue.
        ([name], []) => Choice::One(name.clone()),
        ([name], _) if active(name) => Choice::One(name.clone()),
        ([], [name]) => Choice::One(name.clone()),
        ([], []) => Choice::Open(all(&mentions.of(Clarity::Weak), known)),
        ([], equal) | (equal @ [_, _, ..], _) => {
            let role = mentions.role_of(&equal[0]);
            let is_tie = equal.iter().all(|name| mentions.role_of(name) == role)
                && equal.iter().filter(|name| active(name)).count() > 1;
            let candidates = named(equal, known);
            if is_tie { Choice::Tie(candidates) } else { Choice::Open(candidates) }
        }
        ([_], likely) => Choice::Open(named(&[&full[..], likely].concat(), known)),
    }
}

/// The candidates that the prompt names.
fn named(names: &[RepositoryName], known: &[Repository]) -> Vec<Candidate> {
    let candidate = |name: &RepositoryName| {
        let known = known.iter().find(|known| known.full_name == *name);
        let description = known.map(|known| known.description.clone()).unwrap_or_default();
        Candidate { name: name.clone(), description, named: true }
    };
    names.iter().map(candidate).take(MAX_CANDIDATES).collect()
}

/// The candidates that the prompt may name, followed by all other known repositories.
fn all(names: &[RepositoryName], known: &[Repository]) -> Vec<Candidate> {
    let rest = known.iter().filter(|known| !known.archived && !names.contains(&known.full_name));
    let rest = rest.map(|known| Candidate {
        name: known.full_name.clone(),
        description: known.description.clone(),
        named: false,
    });
    named(names, known).into_iter().chain(rest).take(MAX_CANDIDATES).collect()
}
