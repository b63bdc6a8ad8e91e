//! The patterns of paths in rules: `//path` is absolute, `~/path` in the agent's home, `/path` and `./path` below the workspace. A
//! pattern without a slash matches at any depth. A pattern that matches a directory matches everything in it.

use crate::sandbox::WORKSPACE;

/// The home of the agent.
const HOME: &str = "/home/agent";

/// A path as the CLI would open it: absolute, without `.` and `..`. Links are not resolved.
pub(super) fn absolute(path: &str) -> String {
    let full = match path.strip_prefix("~/") {
        Some(rest) => format!("{HOME}/{rest}"),
        None if path == "~" => HOME.to_owned(),
        None if path.starts_with('/') => path.to_owned(),
        None => format!("{WORKSPACE}/{path}"),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in full.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// True if the pattern matches the path, or a directory above it. `path`: of [`absolute`].
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let (root, pattern) = anchor(pattern);
    let Some(below) = path.strip_prefix(root).filter(|below| root == "/" || below.is_empty() || below.starts_with('/'))
    else {
        return false;
    };
    let parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
    let wanted: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    (1..=parts.len()).any(|length| matches_parts(&wanted, &parts[..length]))
}

/// The directory that a pattern begins in, and the pattern below it.
fn anchor(pattern: &str) -> (&'static str, String) {
    if let Some(rest) = pattern.strip_prefix("//") {
        return ("/", rest.to_owned());
    }
    if let Some(rest) = pattern.strip_prefix("~/") {
        return (HOME, rest.to_owned());
    }
    let rest = pattern.strip_prefix('/').or_else(|| pattern.strip_prefix("./"));
    match rest {
        Some(rest) => (WORKSPACE, rest.to_owned()),
        None if pattern.trim_end_matches('/').contains('/') => (WORKSPACE, pattern.to_owned()),
        None => (WORKSPACE, format!("**/{pattern}")),
    }
}

fn matches_parts(wanted: &[&str], parts: &[&str]) -> bool {
    // `**` at the end stands for at least one part.
    let (wanted, least) = match wanted.split_last() {
        Some((&"**", wanted)) => (wanted, true),
        _ => (wanted, false),
    };
    let matches = |end: usize| {
        matches_sequence(wanted, &parts[..end], |want| *want == "**", |want, part| matches_name(want, part))
    };
    if least { (0..parts.len()).any(matches) } else { matches(parts.len()) }
}

/// `*` stands for any characters of a name, `?` for one.
fn matches_name(pattern: &str, name: &str) -> bool {
    let [pattern, name] = [pattern, name].map(|text| text.chars().collect::<Vec<_>>());
    matches_sequence(&pattern, &name, |want| *want == '*', |want, one| *want == '?' || want == one)
}

/// Compares two sequences, of which the first has members that stand for any number of others. Of these only the last one is tried
/// again with more, so that the time is at most the product of the lengths.
fn matches_sequence<P, T>(
    pattern: &[P],
    sequence: &[T],
    is_any: impl Fn(&P) -> bool,
    is_one: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut last_any: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), sequence.get(place)) {
            (None, None) => return true,
            (Some(want), _) if is_any(want) => {
                at += 1;
                last_any = Some((at, place));
            }
            (Some(want), Some(one)) if is_one(want, one) => (at, place) = (at + 1, place + 1),
            _ => match last_any {
                Some((after, from)) if from < sequence.len() => {
                    last_any = Some((after, from + 1));
                    (at, place) = (after, from + 1);
                }
                _ => return false,
            },
        }
    }
}

/// True if a name in a pattern would stand for more than itself.
pub(super) fn has_wildcards(path: &str) -> bool {
    path.contains(['*', '?', '[', '\\'])
}
