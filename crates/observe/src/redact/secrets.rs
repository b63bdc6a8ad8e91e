//! A set of secrets that is prepared for the search: one pass over a text finds all of them, whatever their number.

use std::fmt;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, Match, MatchKind};
use secrecy::{ExposeSecret, SecretString};

use super::{MASK, escapes};

/// The minimum length of a secret. Shorter values occur by chance, and masking them would spoil ordinary text.
const MIN_BYTES: usize = 8;

/// The spelling of secrets to search for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spelling {
    Plain,
    /// The plain spelling, and the one in a JSON string.
    Json,
}

#[derive(Default)]
pub(super) struct Secrets {
    /// Sorted by bytes, each once.
    sorted: Vec<SecretString>,
    /// The length of the longest one in bytes.
    longest: usize,
    /// `None`: there are no secrets.
    automata: Option<Automata>,
}

/// The automata hold the secrets' bytes, and are not wiped from memory.
struct Automata {
    plain: AhoCorasick,
    /// `None`: no secret needs escapes, so `plain` finds all of them.
    json: Option<AhoCorasick>,
}

impl Secrets {
    /// Returns these secrets and one more. `None`: there is nothing to add.
    pub(super) fn with(&self, secret: &str) -> Option<Self> {
        let known = || self.sorted.iter().map(ExposeSecret::expose_secret);
        if known().any(|known| known == secret) {
            return None;
        }
        let mut more = Secrets::default();
        more.replace(known().chain([secret]));
        Some(more)
    }

    /// Replaces the secrets. The automata are built again only if the set has changed.
    pub(super) fn replace<'a>(&mut self, secrets: impl IntoIterator<Item = &'a str>) {
        let mut sorted: Vec<&str> = secrets.into_iter().filter(|secret| secret.len() >= MIN_BYTES).collect();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.iter().copied().eq(self.sorted.iter().map(ExposeSecret::expose_secret)) {
            return;
        }
        self.automata = Automata::build(&sorted);
        self.longest = sorted.iter().map(|secret| secret.len()).max().unwrap_or(0);
        self.sorted = sorted.into_iter().map(SecretString::from).collect();
    }

    /// The number of bytes at the end of `text` that are a proper prefix of a secret.
    pub(super) fn begun(&self, text: &str) -> usize {
        let text = text.as_bytes();
        let from = text.len().saturating_sub(self.longest.saturating_sub(1));
        (from..text.len()).find(|&start| self.has_longer(&text[start..])).map_or(0, |start| text.len() - start)
    }

    /// Returns true if a secret begins with these bytes and is longer than them.
    fn has_longer(&self, prefix: &[u8]) -> bool {
        let at = self.sorted.partition_point(|secret| secret.expose_secret().as_bytes() <= prefix);
        self.sorted.get(at).is_some_and(|secret| secret.expose_secret().as_bytes().starts_with(prefix))
    }

    fn next(&self, text: &str, from: usize, spelling: Spelling) -> Option<Match> {
        let automata = self.automata.as_ref()?;
        let automaton = match spelling {
            Spelling::Plain => &automata.plain,
            Spelling::Json => automata.json.as_ref().unwrap_or(&automata.plain),
        };
        automaton.find(Input::new(text).range(from..))
    }
}

impl Automata {
    fn build(secrets: &[&str]) -> Option<Self> {
        let escaped: Vec<String> = secrets.iter().filter_map(|secret| escapes::escaped(secret)).collect();
        let all = || secrets.iter().copied().chain(escaped.iter().map(String::as_str));
        let json = if escaped.is_empty() { None } else { automaton(all()) };
        Some(Automata { plain: automaton(secrets.iter().copied())?, json })
    }
}

/// `None`: there are no secrets. An automaton has at most 2 GiB of states, far more than the lengths of secrets require.
fn automaton<'a>(patterns: impl Iterator<Item = &'a str>) -> Option<AhoCorasick> {
    let mut patterns = patterns.peekable();
    patterns.peek()?;
    // This automaton uses the least memory of the fast ones, because each session with a sandbox has one.
    let kind = Some(AhoCorasickKind::ContiguousNFA);
    AhoCorasick::builder().kind(kind).match_kind(MatchKind::LeftmostLongest).build(patterns).ok()
}

/// Masks a text. If secrets overlap, the one that begins first is masked, and the longer of two that begin together.
pub(super) fn mask<const SETS: usize>(text: &str, spelling: Spelling, sets: [&Secrets; SETS]) -> Option<String> {
    let mut matches = sets.map(|set| set.next(text, 0, spelling));
    let mut masked = String::new();
    let mut done = 0;
    while let Some(first) = matches.iter().flatten().min_by_key(|found| (found.start(), usize::MAX - found.end())) {
        let end = first.end();
        masked.push_str(&text[done..first.start()]);
        masked.push_str(MASK);
        done = end;
        for (found, set) in matches.iter_mut().zip(sets) {
            if found.is_some_and(|found| found.start() < end) {
                *found = set.next(text, end, spelling);
            }
        }
    }
    if done == 0 {
        return None;
    }
    masked.push_str(&text[done..]);
    Some(masked)
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secrets").field("count", &self.sorted.len()).finish_non_exhaustive()
    }
}
