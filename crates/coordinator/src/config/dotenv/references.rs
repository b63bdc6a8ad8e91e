//! Values of `.env` that refer to variables which are not set, by the rules of `dotenvy`.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

use super::name_in;

/// Returns the names whose values lack a part, because they refer to a variable that is neither set (`is_set`) nor in an earlier line.
/// Nothing of a value is returned: what looks like a reference may be a part of a secret.
pub(super) fn incomplete(text: &str, is_set: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut earlier = BTreeSet::new();
    let mut incomplete = BTreeSet::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line = rest.lines().next().unwrap_or_default();
        let (Some(name), Some((key, _))) = (name_in(line), line.split_once('=')) else {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        };
        let mut value = Value { rest: rest[key.len() + 1..].trim_start_matches([' ', '\t']).chars().peekable() };
        let references = value.references();
        // The last of several lines with a name counts.
        incomplete.remove(&name);
        if references.iter().any(|reference| !is_set(reference) && !earlier.contains(reference)) {
            incomplete.insert(name.clone());
        }
        earlier.insert(name);
        rest = &rest[rest.len() - value.rest.collect::<String>().len()..];
    }
    incomplete
}

/// The text from the beginning of a value. What is read of it is gone.
struct Value<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Value<'_> {
    /// Reads to the end of the line on which the value ends, and returns the names that it refers to.
    fn references(&mut self) -> Vec<String> {
        let mut references = Vec::new();
        let (mut in_single, mut in_double, mut is_comment, mut before) = (false, false, false, ' ');
        while let Some(one) = self.rest.next() {
            match one {
                '\n' if !in_single && !in_double => break,
                _ if is_comment => {}
                '\'' if !in_double => in_single = !in_single,
                _ if in_single => {}
                '\\' => drop(self.rest.next()),
                '"' => in_double = !in_double,
                '#' if !in_double && matches!(before, ' ' | '\t') => is_comment = true,
                '$' => references.push(self.reference()),
                _ => {}
            }
            before = one;
        }
        references
    }

    /// Reads the name after `$`. Without braces it ends at the first character that is neither a letter nor a digit.
    fn reference(&mut self) -> String {
        let in_braces = self.rest.next_if_eq(&'{').is_some();
        let is_name = |one: &char| if in_braces { *one != '}' && *one != '\n' } else { one.is_alphanumeric() };
        let mut name = String::new();
        while let Some(one) = self.rest.next_if(is_name) {
            name.push(one);
        }
        name
    }
}
