//! How clearly a word names a repository.

use domain::repository::RepositoryName;
use forge::{ForgeAddress, Link, Repository};

use super::ordinary_words::is_common;
use super::text::{Token, tokens};

/// How clearly a prompt names a repository, clearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clarity {
    /// A link of the forge, `OWNER/NAME`, or a name that the prompt calls a repository: `the docs repo`.
    Full,
    /// A name that is no ordinary word: `acme-api`.
    Likely,
    /// An ordinary word that happens to be a name: `the failing test`.
    Weak,
}

/// The repositories that a prompt names.
pub(super) struct Mentions(Vec<(Clarity, RepositoryName)>);

/// The form of a word with a slash.
#[derive(Clone, Copy)]
enum Form {
    Plain,
    /// `OWNER/NAME#12`
    Numbered,
    /// `@OWNER/NAME` of npm
    Package,
}

/// Words that make the name beside them the name of a repository.
const REPOSITORY_WORDS: [&str; 5] = ["repo", "repos", "repository", "repositories", "codebase"];
/// Words before a certain thing: `the load-balancer` is one, and `load-balancer` may be a name.
const DEFINITE: [&str; 8] = ["the", "our", "my", "your", "its", "their", "this", "that"];
/// Articles that speak of a kind of repository, not of a certain one: `a test repo`.
const INDEFINITE: [&str; 8] = ["a", "an", "any", "another", "each", "every", "new", "some"];

impl Mentions {
    pub(super) fn find(prompt: &str, known: &[Repository], forge: &ForgeAddress) -> Mentions {
        let tokens = tokens(prompt);
        let mut found = Mentions(Vec::new());
        for (number, token) in tokens.iter().enumerate() {
            match forge.read(token.text) {
                Link::Repository(name) => found.0.push((Clarity::Full, name)),
                Link::NoLink if !token.is_link => found.word(&tokens, number, known),
                Link::Other | Link::NoLink => {}
            }
        }
        found
    }

    /// The repositories that are named this clearly, each once.
    pub(super) fn of(&self, clarity: Clarity) -> Vec<RepositoryName> {
        let mut names: Vec<RepositoryName> = Vec::new();
        for (_, name) in self.0.iter().filter(|(found, _)| *found == clarity) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    fn word(&mut self, tokens: &[Token<'_>], number: usize, known: &[Repository]) {
        let word = tokens[number].text;
        let is_package = word.starts_with('@');
        // `OWNER/NAME#12`, `OWNER/NAME@branch` and `github:OWNER/NAME`.
        let plain = word.trim_start_matches('@');
        let plain = ["github:", "gh:"].iter().find_map(|prefix| plain.strip_prefix(prefix)).unwrap_or(plain);
        let (name, rest) = plain.find(['#', '@', ':']).map_or((plain, ""), |end| plain.split_at(end));
        let is_numbered = rest
            .strip_prefix('#')
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
        let bare = name.strip_suffix(".git").unwrap_or(name);

        if bare.contains('/') {
            let form = match (is_package, is_numbered) {
                (true, _) => Form::Package,
                (false, true) => Form::Numbered,
                (false, false) => Form::Plain,
            };
            self.path(bare, form, known);
            return;
        }
        // The rest belongs to something else than a name: `acme-api:3000`, `kim@acme-api`.
        if is_package || !(rest.is_empty() || is_numbered || rest.starts_with('@')) {
            return;
        }
        let is_clear = is_numbered || bare.len() < name.len() || is_called_repository(tokens, number, bare);
        let before = number.checked_sub(1).map(|before| tokens[before].text);
        // In `the "load-balancer"` it is a name.
        let mut articles = DEFINITE.iter().chain(&INDEFINITE);
        let is_noun = before.is_some_and(|word| articles.any(|one| one.eq_ignore_ascii_case(word)))
            && !tokens[number].gap.contains(['`', '"', '\'', '“', '«', '‘']);
        for repository in known.iter().filter(|repository| !repository.archived) {
            let name = repository.full_name.name();
            if name.eq_ignore_ascii_case(bare) {
                let clarity = match (is_clear, is_distinctive(name)) {
                    (true, _) => Clarity::Full,
                    // The owner's name in it makes it a name: `the acme-api`.
                    (false, true) if !is_noun || begins_with(name, repository.full_name.owner()) => Clarity::Likely,
                    (false, true | false) => Clarity::Weak,
                };
                self.0.push((clarity, repository.full_name.clone()));
            }
        }
    }

    /// Takes a word with a slash. A path such as `src/main.rs` looks like `OWNER/NAME`, so the name has to be known,
    /// except in `OWNER/NAME#12`.
    fn path(&mut self, word: &str, form: Form, known: &[Repository]) {
        let name = word.trim_end_matches('/');
        if let Ok(name) = name.parse::<RepositoryName>() {
            let is_known = known.iter().any(|repository| repository.full_name == name);
            let is_whole = !name.owner().is_empty() && !name.name().is_empty();
            match form {
                Form::Package if is_known => self.0.push((Clarity::Weak, name)),
                Form::Plain if is_known => self.0.push((Clarity::Full, name)),
                Form::Numbered if is_whole => self.0.push((Clarity::Full, name)),
                Form::Package | Form::Plain | Form::Numbered => {}
            }
            return;
        }
        // `OWNER/NAME/src/main.rs`
        let mut parts = name.splitn(3, '/');
        let (Some(owner), Some(name)) = (parts.next(), parts.next()) else { return };
        if let Ok(name) = format!("{owner}/{name}").parse::<RepositoryName>()
            && known.iter().any(|repository| repository.full_name == name)
        {
            self.0.push((Clarity::Likely, name));
        }
    }
}

/// True if the prompt calls the word a repository: `the docs repo`, `repository: docs`, `a repo called docs`.
fn is_called_repository(tokens: &[Token<'_>], number: usize, name: &str) -> bool {
    let word = |number: Option<usize>| number.and_then(|number| tokens.get(number)).map(|token| token.text);
    let is = |number: Option<usize>, words: &[&str]| {
        word(number).is_some_and(|word| words.iter().any(|wanted| wanted.eq_ignore_ascii_case(word)))
    };
    let before = |distance: usize| number.checked_sub(distance);
    if is(Some(number + 1), &REPOSITORY_WORDS) {
        let next = tokens[number + 1].gap;
        // In `fix the test. Repository: acme-api` the word belongs to the next sentence.
        return !next.contains(['.', '\n', ';', ':', ',']) && !is(before(1), &INDEFINITE);
    }
    if is(before(1), &REPOSITORY_WORDS) {
        let gap = tokens[number].gap;
        return is_distinctive(name) || gap.contains([':', '=', '`', '"', '\'', '“', '«', '‘']);
    }
    is(before(1), &["called", "named"]) && is(before(2), &REPOSITORY_WORDS)
}

fn begins_with(name: &str, owner: &str) -> bool {
    name.get(..owner.len()).is_some_and(|start| start.eq_ignore_ascii_case(owner))
}

/// True for a name of several parts of which one is no ordinary word, such as `acme-api`, but not `front-end` or `test`.
fn is_distinctive(name: &str) -> bool {
    let mut parts: Vec<String> = Vec::new();
    let mut before = '-';
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && before.is_ascii_lowercase()) || parts.is_empty() {
            parts.push(String::new());
        }
        if c.is_ascii_alphanumeric()
            && let Some(last) = parts.last_mut()
        {
            last.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    parts.retain(|part| !part.is_empty());
    let is_plain = |part: &String| part.len() < 2 || part.bytes().all(|byte| byte.is_ascii_digit()) || is_common(part);
    parts.len() > 1 && !parts.iter().all(is_plain)
}
