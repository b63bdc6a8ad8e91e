//! `claude-runner completions` and `claude-runner man`, generated from the commands' descriptions.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use clap_complete::Shell;

use super::exit::Exit;

const COMPLETIONS: &str = "\
Examples:
  claude-runner completions bash > /etc/bash_completion.d/claude-runner
  claude-runner completions zsh > ~/.zfunc/_claude-runner
  claude-runner completions fish > ~/.config/fish/completions/claude-runner.fish";

const MAN: &str = "\
Examples:
  claude-runner man | man -l -
  claude-runner man --output /usr/local/share/man/man1";

#[derive(Args, Debug)]
#[command(after_help = COMPLETIONS)]
pub struct CompletionsOptions {
    /// The shell
    shell: Shell,
}

#[derive(Args, Debug)]
#[command(after_help = MAN)]
pub struct ManOptions {
    /// Write a page for each command into this directory, instead of one to standard output
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub fn completions(options: &CompletionsOptions, mut command: clap::Command) -> anyhow::Result<ExitCode> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command, name, &mut script);
    io::stdout().write_all(&script)?;
    Ok(Exit::Done.into())
}

pub fn man(options: &ManOptions, command: clap::Command) -> anyhow::Result<ExitCode> {
    match &options.output {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            io::stdout().write_all(&page)?;
        }
        Some(directory) => {
            std::fs::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(command, directory))
                .with_context(|| format!("could not write the pages into {}", directory.display()))?;
        }
    }
    Ok(Exit::Done.into())
}
