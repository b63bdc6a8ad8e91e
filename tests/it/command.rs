//! Commands of the program that end by themselves, with the settings of a server.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What a command of the program did.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Output {
    /// What a command printed that succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.success, "{self:?}");
        self.out
    }
}

/// Runs a command of the program to its end, with this environment and no other.
pub(crate) fn output(arguments: &[&str], environment: &BTreeMap<String, String>, directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-runner"));
    command.args(arguments).env_clear().envs(environment).current_dir(directory);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Output { success: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}
