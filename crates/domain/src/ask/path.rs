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
    match (wanted.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((&"**", wanted)), _) => {
            (wanted.is_empty() && !parts.is_empty())
                || (!wanted.is_empty() && (0..=parts.len()).any(|skipped| matches_parts(wanted, &parts[skipped..])))
        }
        (Some((want, wanted)), Some((part, parts))) => matches_name(want, part) && matches_parts(wanted, parts),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// `*` stands for any characters of a name, `?` for one.
fn matches_name(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    loop {
        match pattern.next() {
            None => return name.next().is_none(),
            Some('*') => {
                let (rest, mut name) = (pattern.as_str(), name.as_str());
                loop {
                    if matches_name(rest, name) {
                        return true;
                    }
                    let Some(first) = name.chars().next() else { return false };
                    name = &name[first.len_utf8()..];
                }
            }
            Some('?') => {
                if name.next().is_none() {
                    return false;
                }
            }
            Some(wanted) => {
                if name.next() != Some(wanted) {
                    return false;
                }
            }
        }
    }
}

/// True if a name in a pattern would stand for more than itself.
pub(super) fn has_wildcards(path: &str) -> bool {
    path.contains(['*', '?', '[', '\\'])
}
