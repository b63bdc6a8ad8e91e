//! The commands of a push, and the check that allows or refuses them.
//!
//! A push begins with pkt-lines: `OLD NEW REF`, followed in the first one by a NUL and the capabilities, up to a flush packet
//! `0000`. The pack follows.

use std::collections::BTreeSet;

use domain::repository::is_branch_name;

use super::pkt::{Packet, packet};

/// A command that moves a ref from one object to another. An object of zeros means that the ref does not exist.
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

    /// Reads the head from the beginning of a request. `None`: it is not complete yet.
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

/// The branches that a repository task may push: its own branch, those that it created, and new ones whose names begin with the
/// name of its own branch and a `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushPolicy {
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// The other branches that the task's session created.
    pub made: BTreeSet<String>,
}

/// The change of a branch that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// The task's own branch, or one that it created.
    CreateOrMove,
    /// The forge must not have the branch yet.
    Create,
}

impl PushPolicy {
    /// Checks a command. `made` are the branches that were created since the sandbox got the policy. An error is the reason of a
    /// refusal, which git prints after `remote rejected`.
    pub(super) fn judge(&self, command: &Command, made: &BTreeSet<String>) -> Result<Grant, String> {
        let own = &self.branch;
        let Some(branch) = command.branch() else {
            return Err(format!("only branches can be pushed here; this task's is {own}"));
        };
        let suffix = branch.strip_prefix(own.as_str());
        let is_own = suffix.is_some_and(str::is_empty);
        let has_prefix = suffix.is_some_and(|suffix| suffix.starts_with('-') && !suffix.contains('/'));
        let is_new_name = has_prefix && is_branch_name(branch);
        if !is_own && !is_new_name {
            return Err(format!("this task may push {own} only, and new branches {own}-…"));
        }
        if is_zero(&command.new) {
            return Err("branches cannot be deleted here".to_owned());
        }
        match is_own || self.made.contains(branch) || made.contains(branch) {
            true => Ok(Grant::CreateOrMove),
            false if is_zero(&command.old) => Ok(Grant::Create),
            false => Err(format!("this task did not make the branch {branch}; it may push {own} and new branches")),
        }
    }
}

fn is_zero(object: &str) -> bool {
    object.bytes().all(|b| b == b'0')
}

impl Command {
    /// Returns the branch's name if the ref is a branch.
    pub(super) fn branch(&self) -> Option<&str> {
        self.reference.strip_prefix("refs/heads/")
    }

    /// Returns true if the agent's git believes that the forge does not have the ref.
    pub(super) fn creates(&self) -> bool {
        is_zero(&self.old)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Command, Grant, PushError, PushHead, PushPolicy};

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
    fn a_task_moves_its_own_branches_and_makes_new_ones() {
        let made = |name: &str| BTreeSet::from([name.to_owned()]);
        let policy = PushPolicy { branch: "claude/1".to_owned(), made: made("claude/1-made") };
        let judge = |old: &str, new: &str, reference: &str| {
            let command = Command { old: old.into(), new: new.into(), reference: reference.into() };
            policy.judge(&command, &made("claude/1-just-made"))
        };
        for own in ["claude/1", "claude/1-made", "claude/1-just-made"] {
            let reference = format!("refs/heads/{own}");
            assert_eq!(judge(A, A, &reference), Ok(Grant::CreateOrMove), "{own}");
            assert_eq!(judge(NONE, A, &reference), Ok(Grant::CreateOrMove), "{own}");
            assert!(judge(A, NONE, &reference).unwrap_err().contains("deleted"), "{own}");
        }
        assert_eq!(judge(NONE, A, "refs/heads/claude/1-second"), Ok(Grant::Create));
        assert!(judge(A, A, "refs/heads/claude/1-second").unwrap_err().contains("did not make"));
        assert!(judge(A, NONE, "refs/heads/claude/1-second").unwrap_err().contains("deleted"));
        for reference in [
            "refs/heads/main",
            "refs/heads/claude/2",
            "refs/heads/claude/10",
            "refs/heads/claude/1/x",
            "refs/heads/claude/1-a/b",
            "refs/heads/claude/1-a b",
            "refs/heads/claude/1-a..b",
            "refs/heads/claude/1-a.lock",
            "refs/heads/Claude/1",
            "refs/tags/claude/1",
            "refs/tags/claude/1-v1",
            "refs/notes/commits",
            "refs/notes/claude/1",
            "refs/replace/claude/1",
            "refs/pull/1/head",
            "refs/remotes/origin/claude/1",
            "refs/claude-runner/1",
            "refs/claude/1",
            "refs/heads/",
            "claude/1",
            "HEAD",
            " refs/heads/claude/1",
        ] {
            assert!(judge(NONE, A, reference).is_err(), "{reference}");
            assert!(judge(A, NONE, reference).is_err(), "{reference}");
        }
    }
}
