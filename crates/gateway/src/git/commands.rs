//! The commands of a push, and the check that it may carry them out.
//!
//! A push begins with pkt-lines: `OLD NEW REF`, behind the first a NUL and the capabilities, up to a flush packet
//! `0000`; then comes the pack.

use std::collections::BTreeSet;

use super::pkt::{Packet, packet};

/// A command to move a ref from one object to another. An object of zeros stands for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) old: String,
    pub(super) new: String,
    pub(super) reference: String,
}

/// Everything before the pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PushHead {
    pub(super) commands: Vec<Command>,
    pub(super) capabilities: BTreeSet<String>,
    /// Bytes of the request that the head takes, with the flush packet.
    pub(super) length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PushError {
    #[error("this is not a push: {0}")]
    Malformed(&'static str),
    #[error("a push may move at most {} refs", PushHead::MAX_COMMANDS)]
    TooMany,
}

impl PushHead {
    /// A repository task pushes one branch; git's own mirror pushes have many.
    const MAX_COMMANDS: usize = 16;

    /// Reads the head from the beginning of a request. `None`: it is not there as a whole yet.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<PushHead>, PushError> {
        let (mut commands, mut capabilities) = (Vec::new(), BTreeSet::new());
        let mut at = 0;
        loop {
            let line = match packet(&bytes[at..])? {
                None => return Ok(None),
                Some((Packet::Flush, length)) => {
                    return Ok(Some(PushHead { commands, capabilities, length: at + length }));
                }
                Some((Packet::Line(line), length)) => {
                    at += length;
                    line
                }
            };
            let line = std::str::from_utf8(line).map_err(|_| PushError::Malformed("a ref's name is not UTF-8"))?;
            let line = line.strip_suffix('\n').unwrap_or(line);
            let command = match line.split_once('\0') {
                Some((command, said)) if commands.is_empty() => {
                    capabilities = said.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
                    command
                }
                Some(_) => return Err(PushError::Malformed("capabilities in the middle")),
                None => line,
            };
            if command.starts_with("shallow ") && commands.is_empty() {
                continue;
            }
            if commands.len() == Self::MAX_COMMANDS {
                return Err(PushError::TooMany);
            }
            commands.push(parse_command(command)?);
        }
    }
}

fn parse_command(line: &str) -> Result<Command, PushError> {
    let is_object = |name: &str| matches!(name.len(), 40 | 64) && name.bytes().all(|b| b.is_ascii_hexdigit());
    let mut parts = line.splitn(3, ' ');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(old), Some(new), Some(reference)) if is_object(old) && is_object(new) && !reference.is_empty() => {
            Ok(Command { old: old.to_owned(), new: new.to_owned(), reference: reference.to_owned() })
        }
        (_, _, _) => Err(PushError::Malformed("a command that is not OLD NEW REF")),
    }
}

/// The branches that a repository task may push: its own branch, and branches whose names begin with that and a `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushPolicy {
    /// The branch, without `refs/heads/`.
    pub branch: String,
}

impl PushPolicy {
    /// Returns the reason why the command is refused, in words that git shows behind `remote rejected`.
    pub(super) fn objection(&self, command: &Command) -> Option<String> {
        let Some(branch) = command.branch() else {
            return Some(format!("only branches can be pushed here; this task's is {}", self.branch));
        };
        let is_own = branch
            .strip_prefix(&self.branch)
            .is_some_and(|rest| rest.is_empty() || (rest.starts_with('-') && !rest.contains('/')));
        if !is_own {
            return Some(format!("this task may push {} only", self.branch));
        }
        command.new.bytes().all(|b| b == b'0').then(|| "branches cannot be deleted here".to_owned())
    }
}

impl Command {
    /// The branch's name, where it is one.
    pub(super) fn branch(&self) -> Option<&str> {
        self.reference.strip_prefix("refs/heads/")
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, PushError, PushHead, PushPolicy};

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const NONE: &str = "0000000000000000000000000000000000000000";

    fn packet(content: &str) -> String {
        format!("{:04x}{content}", content.len() + 4)
    }

    fn push(references: &[&str]) -> Vec<u8> {
        let lines = references.iter().enumerate().map(|(at, reference)| {
            let said = if at == 0 { "\0report-status side-band-64k object-format=sha1" } else { "" };
            packet(&format!("{NONE} {A} {reference}{said}"))
        });
        format!("{}0000PACK…", lines.collect::<String>()).into_bytes()
    }

    #[test]
    fn the_head_is_read_from_pieces_of_any_size() {
        let bytes = push(&["refs/heads/claude/1", "refs/tags/v1"]);
        let whole = PushHead::parse(&bytes).unwrap().unwrap();
        assert_eq!(&bytes[whole.length..], "PACK…".as_bytes());
        assert!(whole.capabilities.contains("report-status"));
        let command = |reference: &str| Command { old: NONE.into(), new: A.into(), reference: reference.into() };
        assert_eq!(whole.commands, [command("refs/heads/claude/1"), command("refs/tags/v1")]);
        for length in 0..whole.length {
            assert_eq!(PushHead::parse(&bytes[..length]), Ok(None), "{length}");
        }
    }

    #[test]
    fn what_is_no_push_is_an_error() {
        for bytes in
            ["zzzz", "+004", "0004", "0003", &packet("push-cert x"), &packet("a b c"), &packet(&format!("{A} {A} "))]
        {
            assert!(matches!(PushHead::parse(bytes.as_bytes()), Err(PushError::Malformed(_))), "{bytes}");
        }
        let many = vec!["refs/heads/claude/1"; 17];
        assert_eq!(PushHead::parse(&push(&many)), Err(PushError::TooMany));
    }

    #[test]
    fn only_the_tasks_own_branch_may_be_pushed() {
        let policy = PushPolicy { branch: "claude/1".to_owned() };
        let judge = |reference: &str, new: &str| {
            let command = Command { old: A.into(), new: new.into(), reference: reference.into() };
            policy.objection(&command)
        };
        assert_eq!(judge("refs/heads/claude/1", A), None);
        assert_eq!(judge("refs/heads/claude/1-second", A), None);
        for reference in [
            "refs/heads/main",
            "refs/heads/claude/2",
            "refs/heads/claude/10",
            "refs/heads/claude/1/x",
            "refs/heads/claude/1-a/b",
            "refs/heads/Claude/1",
            "refs/tags/claude/1",
            "refs/claude/1",
            "HEAD",
            " refs/heads/claude/1",
        ] {
            assert!(judge(reference, A).is_some(), "{reference}");
        }
        assert!(judge("refs/heads/claude/1", NONE).unwrap().contains("deleted"));
    }
}
