//! A simple command against the text in a Bash rule: `git status` (that command), `npm test:*` (that and more words), and
//! `git * main` (any text for `*`).

use super::shell::{SimpleCommand, is_assignment};

/// Programs that run the command in their arguments.
const WRAPPERS: [&str; 12] =
    ["builtin", "busybox", "command", "doas", "env", "exec", "nice", "nohup", "setsid", "stdbuf", "sudo", "time"];

const SHELLS: [&str; 6] = ["bash", "dash", "fish", "ksh", "sh", "zsh"];

/// Programs that make commands out of texts.
/// Some evaluate their arguments as arithmetic, in which a substitution runs; others take a command behind arguments of their own.
const EVALUATORS: [&str; 27] = [
    ".",
    "alias",
    "chroot",
    "chrt",
    "declare",
    "eval",
    "flock",
    "ionice",
    "let",
    "local",
    "mapfile",
    "parallel",
    "printf",
    "read",
    "readarray",
    "script",
    "setpriv",
    "source",
    "strace",
    "su",
    "taskset",
    "trap",
    "typeset",
    "unset",
    "unshare",
    "watch",
    "xargs",
];

/// The relation of a rule that asks or denies to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Concerns {
    No,
    /// An expansion or another program decides when the command runs.
    Perhaps,
    Yes,
}

/// True if the command is what the rule describes, as it is written. For rules that allow.
pub(super) fn is_described(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix(":*") {
        Some(prefix) => text.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')),
        None if pattern.contains('*') => {
            matches_glob(pattern, text) || pattern.strip_suffix(" *").is_some_and(|prefix| prefix == text)
        }
        None => pattern == text,
    }
}

/// Compares a rule that asks or denies with the command. It looks behind quotes, assignments, wrappers and paths.
pub(super) fn concerns(pattern: &str, command: &SimpleCommand) -> Concerns {
    if is_described(pattern, &command.text) {
        return Concerns::Yes;
    }
    let mut words = command.words.as_slice();
    loop {
        let found = concerns_words(pattern, words);
        if found != Concerns::No {
            return found;
        }
        let Some((Some(first), rest)) = words.split_first() else { return Concerns::No };
        let name = first.rsplit('/').next().unwrap_or(first);
        if is_assignment(first) {
            words = rest;
        } else if WRAPPERS.contains(&name) || name == "timeout" {
            // An option may take a value, so that it is not known where the command begins.
            if rest.first().is_some_and(|word| word.as_ref().is_none_or(|word| word.starts_with('-'))) {
                return Concerns::Perhaps;
            }
            words = if name == "timeout" { rest.get(1..).unwrap_or_default() } else { rest };
        } else if makes_commands(name, rest) {
            return Concerns::Perhaps;
        } else {
            return Concerns::No;
        }
    }
}

fn concerns_words(pattern: &str, words: &[Option<String>]) -> Concerns {
    let (wanted, open) = match pattern.strip_suffix(":*") {
        Some(prefix) => (prefix, true),
        None => (pattern, false),
    };
    if !open && wanted.contains('*') {
        return concerns_glob(wanted, words);
    }
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    let mut words = words.iter().enumerate();
    for wanted in &wanted {
        match words.next() {
            None => return Concerns::No,
            // It may become any number of words.
            Some((_, None)) => return Concerns::Perhaps,
            Some((0, Some(word))) if word == wanted || word.rsplit('/').next() == Some(wanted) => {}
            Some((_, Some(word))) if word == wanted => {}
            Some((_, Some(_))) => return Concerns::No,
        }
    }
    match words.next() {
        None => Concerns::Yes,
        Some(_) if open => Concerns::Yes,
        Some((_, None)) => Concerns::Perhaps,
        Some((_, Some(_))) => Concerns::No,
    }
}

fn concerns_glob(pattern: &str, words: &[Option<String>]) -> Concerns {
    let known: Vec<&str> = words.iter().map_while(Option::as_deref).collect();
    let text = known.join(" ");
    if known.len() == words.len() {
        let short =
            known.first().and_then(|first| first.rsplit_once('/')).map(|(directory, _)| &text[directory.len() + 1..]);
        let is_found = is_described(pattern, &text) || short.is_some_and(|short| is_described(pattern, short));
        return if is_found { Concerns::Yes } else { Concerns::No };
    }
    // The known beginning must not contradict the beginning of the pattern.
    let literal = pattern.split('*').next().unwrap_or_default();
    if literal.starts_with(&text) || text.starts_with(literal) { Concerns::Perhaps } else { Concerns::No }
}

/// True if the program makes a command out of its arguments or its input.
fn makes_commands(name: &str, arguments: &[Option<String>]) -> bool {
    let has = |test: fn(&str) -> bool| arguments.iter().flatten().any(|argument| test(argument));
    if SHELLS.contains(&name) {
        let has_script = arguments.iter().any(|argument| argument.as_ref().is_none_or(|word| is_script(word)));
        return !has_script || has(|argument| argument.starts_with('-') && argument.contains(['c', 's']));
    }
    let finds = name == "find" && has(|argument| argument.starts_with("-exec") || argument.starts_with("-ok"));
    finds || EVALUATORS.contains(&name)
}

/// A shell reads its input or a descriptor below `/dev` and `/proc`, which is no script that can be looked at.
fn is_script(argument: &str) -> bool {
    !argument.starts_with('-') && !argument.starts_with("/dev/") && !argument.starts_with("/proc/")
}

/// `*` stands for any text.
pub(super) fn matches_glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.is_empty()
}
