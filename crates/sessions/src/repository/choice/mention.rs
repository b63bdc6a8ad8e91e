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
pub(super) struct Mentions {
    found: Vec<Mention>,
    /// The role of the words that are being read.
    role: Role,
}

struct Mention {
    clarity: Clarity,
    name: RepositoryName,
    role: Role,
}

/// The part of a name in its sentence, as far as the word before it shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// `like acme-web`
    Reference,
    /// `compare acme-api`
    #[default]
    Unknown,
    /// `in acme-api`
    Place,
}

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

/// Words before the place of the work, in some languages.
const PLACE: [&str; 12] = ["in", "into", "inside", "within", "to", "onto", "im", "en", "dans", "em", "nel", "nella"];
/// Words before a model for the work, or before its source.
const REFERENCE: [&str; 9] = ["like", "as", "unlike", "from", "than", "see", "wie", "comme", "como"];
/// Words that give the next name the part of the one before: `in acme-api and acme-web`.
const CONJUNCTIONS: [&str; 6] = ["and", "or", "und", "oder", "et", "y"];

impl Mentions {
    pub(super) fn find(prompt: &str, known: &[Repository], forge: &ForgeAddress) -> Mentions {
        let tokens = tokens(prompt);
        let mut mentions = Mentions { found: Vec::new(), role: Role::default() };
        for (number, token) in tokens.iter().enumerate() {
            mentions.role = role(&tokens, number, mentions.role);
            match forge.read(token.text) {
                Link::Repository(name) => mentions.push(Clarity::Full, name),
                Link::NoLink if !token.is_link => mentions.word(&tokens, number, known),
                Link::Other | Link::NoLink => {}
            }
        }
        mentions
    }

    fn push(&mut self, clarity: Clarity, name: RepositoryName) {
        self.found.push(Mention { clarity, name, role: self.role });
    }

    /// The strongest role of a repository.
    pub(super) fn role_of(&self, name: &RepositoryName) -> Role {
        let roles = self.found.iter().filter(|mention| mention.name == *name).map(|mention| mention.role);
        roles.max().unwrap_or_default()
    }

    /// The repositories that are named this clearly, each once.
    pub(super) fn of(&self, clarity: Clarity) -> Vec<RepositoryName> {
        let mut names: Vec<RepositoryName> = Vec::new();
        for Mention { name, .. } in self.found.iter().filter(|mention| mention.clarity == clarity) {
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
                self.push(clarity, repository.full_name.clone());
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
                Form::Package if is_known => self.push(Clarity::Weak, name),
                Form::Plain if is_known => self.push(Clarity::Full, name),
                Form::Numbered if is_whole => self.push(Clarity::Full, name),
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
            self.push(Clarity::Likely, name);
        }
    }
}

/// The role of a name at this place. `before` is that of the token before.
fn role(tokens: &[Token<'_>], number: usize, before: Role) -> Role {
    let is_one_of = |word: &str, words: &[&str]| words.iter().any(|one| one.eq_ignore_ascii_case(word));
    let Some(previous) = number.checked_sub(1).map(|previous| tokens[previous].text) else { return Role::Unknown };
    // The part of a sentence ends with it.
    let ends = tokens[number].gap.contains(['.', ';', ':', '!', '?', '\n']);
    // `in the acme-api repo and our repository acme-web`
    let joins = |word: &str| is_one_of(word, &CONJUNCTIONS) || is_one_of(word, &REPOSITORY_WORDS);
    match previous {
        _ if ends => Role::Unknown,
        word if is_one_of(word, &PLACE) => Role::Place,
        word if is_one_of(word, &REFERENCE) => Role::Reference,
        word if joins(word) || joins(tokens[number].text) || is_one_of(word, &DEFINITE) => before,
        _ => Role::Unknown,
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
