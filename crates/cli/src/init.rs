//! `claude-runner init`: creates an agent template from questions, from flags, or from another template.

mod copy;
mod questions;
mod template;

use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_template::{Agents, TemplateError};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use domain::plain::of_os;
use tempfile::TempDir;

use super::exit::{Exit, Misuse};
use questions::Questions;
use template::Wishes;

const EXAMPLES: &str = "\
Examples:
  claude-runner init                                # asks, and makes ./agent
  claude-runner init billing --name Billing --does \"answers questions about invoices\" --answer text --tools no
  claude-runner init my-agent --from agent          # a copy to change";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct InitOptions {
    /// The directory to create; an existing one must be empty
    #[arg(value_name = "DIR", default_value = "./agent")]
    directory: PathBuf,

    /// The agent's name [default: Assistant]
    #[arg(long)]
    name: Option<String>,

    /// The agent's purpose, as in "the agent that …"
    #[arg(long, value_name = "TEXT")]
    does: Option<String>,

    /// The form of the agent's answers [default: json]
    #[arg(long, value_enum)]
    answer: Option<AnswerForm>,

    /// Include a sample tool [default: yes]
    #[arg(long, value_enum)]
    tools: Option<YesOrNo>,

    /// Copy this template instead
    #[arg(long, value_name = "TEMPLATE", conflicts_with_all = ["name", "does", "answer", "tools"])]
    from: Option<PathBuf>,

    /// Do not ask: use the defaults for missing flags
    #[arg(long, short)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AnswerForm {
    /// An object that a schema describes
    Json,
    /// Prose
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum YesOrNo {
    Yes,
    No,
}

pub(super) fn run(options: &InitOptions) -> anyhow::Result<ExitCode> {
    let directory = &options.directory;
    // The directory is checked before any question.
    check_free(directory)?;
    let wishes = match &options.from {
        Some(_) => None,
        None => Some(wishes(options)?),
    };
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unusable = || format!("{} could not be made", directory.display());
    std::fs::create_dir_all(parent).with_context(unusable)?;
    // The draft is beside the target, so that the target appears completely or not at all.
    let draft = tempfile::Builder::new().prefix(".init-").tempdir_in(parent).with_context(unusable)?;
    match (&options.from, &wishes) {
        (Some(from), _) => {
            check(from).with_context(|| format!("{} cannot be copied", from.display()))?;
            copy::copy(from, draft.path()).with_context(|| format!("{} could not be copied", from.display()))?;
        }
        (None, Some(wishes)) => template::write(wishes, draft.path()).with_context(unusable)?,
        (None, None) => {}
    }
    check(draft.path()).context("the server would refuse the new template")?;
    put(draft, directory).with_context(unusable)?;
    print_next_steps(directory)?;
    Ok(Exit::Done.into())
}

fn check_free(directory: &Path) -> anyhow::Result<()> {
    let shown = directory.display();
    match std::fs::read_dir(directory).map(Iterator::count) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Misuse(format!("{shown} is not empty; name another directory, nothing is overwritten")).into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Misuse(format!("{shown} cannot be made a template: {}", of_os(&error.to_string()))).into()),
    }
}

/// Takes the answers from flags, and asks for the rest on the terminal.
fn wishes(options: &InitOptions) -> anyhow::Result<Wishes> {
    let complete =
        options.name.is_some() && options.does.is_some() && options.answer.is_some() && options.tools.is_some();
    let asks = io::stdin().is_terminal() && !options.yes && !complete;
    if !asks && !options.yes && !complete {
        let sentence = "there is no terminal to ask on: give --name, --does, --answer and --tools, or --yes for the \
                        defaults";
        return Err(Misuse(sentence.to_owned()).into());
    }
    let mut questions = Questions::new(asks);
    let name = questions.text("What is the agent called?", options.name.as_deref(), "Assistant")?;
    let does = questions.text(
        "What does it do? (\"the agent that …\")",
        options.does.as_deref(),
        "answers questions with what it finds in its files",
    )?;
    let answer = questions.choice("How does it answer?", options.answer, AnswerForm::Json)?;
    let tools = questions.choice("Does it get a tool to begin with?", options.tools, YesOrNo::Yes)?;
    Ok(Wishes { name, does, answer, tools })
}

/// Checks the template as the server does.
fn check(directory: &Path) -> Result<(), TemplateError> {
    let agents = Agents::load(directory)?;
    agents.entries().iter().try_for_each(|entry| agents.check(entry).map(drop))
}

fn put(draft: TempDir, directory: &Path) -> io::Result<()> {
    // Until now, only this user could read the directory.
    std::fs::set_permissions(draft.path(), PermissionsExt::from_mode(0o755))?;
    // An empty directory may be replaced, any other is kept.
    std::fs::rename(draft.path(), directory)?;
    // The draft no longer exists under its old name.
    let _ = draft.keep();
    Ok(())
}

fn print_next_steps(directory: &Path) -> io::Result<()> {
    let shown = directory.display();
    writeln!(io::stdout(), "{shown}")?;
    writeln!(
        io::stderr(),
        "\nThe agent template is there. AGENTS.md says who the agent is: read it and change it. Then:\n\n  \
         AGENT_DIR={shown} claude-runner serve\n  claude-runner task --session try \"What can you do?\""
    )
}
