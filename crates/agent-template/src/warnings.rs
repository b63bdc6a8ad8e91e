//! Files of a template that are copied as they are and do not work in a sandbox, or do not have the effect that they should.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use domain::plain;

use super::TemplateError;

/// The directory whose scripts the agent runs.
const TOOLS: &str = "tools";

/// The number of sentences for one template.
const MAX_WARNINGS: usize = 20;

/// The beginning of a file that is looked at: longer than the first line of a script.
const HEAD_BYTES: u64 = 256;

/// Returns one sentence for each file.
pub(super) fn of(directory: &Path) -> Result<Vec<String>, TemplateError> {
    let mut warnings = of_names(directory);
    look(directory, directory, &mut warnings)?;
    warnings.truncate(MAX_WARNINGS);
    Ok(warnings)
}

/// The files with a meaning, at the top of a template.
const NAMES: [&str; 4] = ["AGENTS.md", "OUTPUT.md", "OUTPUT.schema.json", "agent.toml"];

/// A misspelt settings file would be a limit without effect.
fn of_names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let near = |name: &str| NAMES.into_iter().find(|known| plain::is_misspelt(name, known));
    let misspelt = names.iter().filter(|name| !NAMES.contains(&name.as_str())).filter_map(|name| {
        let known = near(name).filter(|known| !names.iter().any(|name| name == known))?;
        let shown = directory.join(name);
        Some(format!("{}: the file is copied and has no effect; did you mean {known}?", shown.display()))
    });
    misspelt.collect()
}

fn look(root: &Path, directory: &Path, warnings: &mut Vec<String>) -> Result<(), TemplateError> {
    let failed = |path: &Path, source| TemplateError::Read { path: path.to_owned(), source };
    let entries = std::fs::read_dir(directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut paths: Vec<PathBuf> =
        entries.map_err(|source| failed(directory, source))?.iter().map(std::fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        let metadata = path.symlink_metadata().map_err(|source| failed(&path, source))?;
        if metadata.is_dir() {
            look(root, &path, warnings)?;
        } else if metadata.is_symlink() {
            warnings.extend(of_link(root, &path));
        } else if metadata.is_file() {
            let head = head(&path).map_err(|source| failed(&path, source))?;
            let is_executable = metadata.permissions().mode() & 0o111 != 0;
            let in_tools = path.strip_prefix(root).is_ok_and(|path| path.starts_with(TOOLS));
            warnings.extend(of_script(&path, &head, is_executable, in_tools));
        }
    }
    Ok(())
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    std::fs::File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// A link is copied as a link, so its target must be in the template or in the image.
fn of_link(root: &Path, path: &Path) -> Option<String> {
    let target = std::fs::read_link(path).ok()?;
    let shown = target.display();
    if target.is_absolute() {
        let in_sandbox = Path::new(domain::sandbox::WORKSPACE);
        let Ok(relative) = target.strip_prefix(in_sandbox) else {
            return Some(format!(
                "{}: the link leads out of the template to {shown}, which a sandbox has only if its image has it",
                path.display()
            ));
        };
        return (!root.join(relative).exists())
            .then(|| format!("{}: the link leads to {shown}, which the template does not have", path.display()));
    }
    let inside = path.strip_prefix(root).ok()?.parent()?.join(&target);
    let mut depth = 0_usize;
    for component in inside.components() {
        match component {
            Component::ParentDir => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return Some(format!("{}: the link leads out of the template to {shown}", path.display())),
            },
            Component::Normal(_) => depth += 1,
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    (!path.exists()).then(|| format!("{}: the link leads to {shown}, which the template does not have", path.display()))
}

/// The kernel reads the first line of a script byte by byte.
fn of_script(path: &Path, head: &[u8], is_executable: bool, in_tools: bool) -> Option<String> {
    let unmarked = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let is_script = unmarked.starts_with(b"#!");
    let shown = path.display();
    if is_script && unmarked.len() < head.len() {
        return Some(format!("{shown}:1: a byte order mark before `#!` keeps the script from starting; remove it"));
    }
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if is_script && line.ends_with(b"\r") {
        return Some(format!(
            "{shown}:1: the line ends in CRLF, so the script's interpreter is not found; save it with LF"
        ));
    }
    let is_program = is_script || head.starts_with(b"\x7fELF");
    (in_tools && is_program && !is_executable)
        .then(|| format!("{shown}: the tool is not executable; run `chmod +x` on it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_file_is_named_and_others_pass() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["AGENTS.md", "Agent.toml", "OUTPUT.schema.jsn", "README.md", "agenda.txt"] {
            std::fs::write(directory.path().join(name), "x").unwrap();
        }
        let warnings = of(directory.path()).unwrap();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(
            warnings[0].contains("Agent.toml") && warnings[0].ends_with("did you mean agent.toml?"),
            "{warnings:?}"
        );
        assert!(warnings[1].ends_with("did you mean OUTPUT.schema.json?"), "{warnings:?}");
        // With the file itself, the other one is a file like any.
        std::fs::write(directory.path().join("agent.toml"), "").unwrap();
        assert_eq!(of(directory.path()).unwrap().len(), 1);
    }
}
