//! Commands of the program that end by themselves, with a server's settings.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Output {
    /// Returns the output of a command that must succeed.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.success, "{self:?}");
        self.out
    }
}

/// Runs a command of the program to its end, with exactly this environment.
pub(crate) fn output(arguments: &[&str], environment: &BTreeMap<String, String>, directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-runner"));
    command.args(arguments).env_clear().envs(environment).current_dir(directory);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Output { success: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}
