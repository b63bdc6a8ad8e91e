//! The first lines of `serve`, for people: where the page is, what answers, and where everything is.
#![expect(clippy::print_stderr, reason = "these lines are not part of the log")]

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use engine::EngineInfo;
use gateway::{CredentialKind, CredentialState};

use crate::config::{LogFormat, ServeOptions};

/// The facts of a server that has just started.
#[derive(Debug)]
pub(super) struct Greeting {
    address: SocketAddr,
    /// Requests need an API key.
    needs_key: bool,
    credential: CredentialState,
    model: String,
    agents: Vec<String>,
    agent_dir: PathBuf,
    engine: String,
    data_dir: PathBuf,
}

impl Greeting {
    pub(super) fn new(options: &ServeOptions, address: SocketAddr, agents: Vec<String>) -> Self {
        Greeting {
            address,
            needs_key: false,
            credential: CredentialState { kind: None, usable: Ok(()), expires_at: None },
            model: options.model.clone(),
            agents,
            agent_dir: options.agent_dir.clone(),
            engine: String::new(),
            data_dir: absolute(&options.data_dir),
        }
    }

    pub(super) fn keys(mut self, needs_key: bool) -> Self {
        self.needs_key = needs_key;
        self
    }

    pub(super) fn credential(mut self, state: CredentialState) -> Self {
        self.credential = state;
        self
    }

    pub(super) fn engine(mut self, address: &str, found: &Result<EngineInfo, String>) -> Self {
        self.engine = match found {
            Ok(info) => format!("{} on {}, at {address}", info.version, info.name),
            Err(error) => format!("NONE: {error}. Tasks wait for it; `claude-runner doctor` names the remedy"),
        };
        self
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Prints the lines to stderr, beside a log for people.
    pub(super) fn print(&self, format: LogFormat) {
        match format {
            LogFormat::Text => eprintln!("{self}"),
            LogFormat::Json => {}
        }
    }
}

impl fmt::Display for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.needs_key { " (it asks for an API key)" } else { "" };
        let agents = self.agents.join(", ");
        writeln!(f, "Claude Runner {}\n", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "  page        http://{}{key}", cli::doctor::reachable(self.address))?;
        writeln!(f, "  credential  {}", self.credential_line())?;
        writeln!(f, "  agents      {agents}, in {}", self.agent_dir.display())?;
        writeln!(f, "  engine      {}", self.engine)?;
        writeln!(f, "  data        {}", self.data_dir.display())
    }
}

impl Greeting {
    fn credential_line(&self) -> String {
        let model = &self.model;
        match (self.credential.kind, &self.credential.usable) {
            (Some(CredentialKind::Scripted), _) => {
                "none: THE SCRIPTED MODEL ANSWERS, NOT CLAUDE. Leave out --scripted (SCRIPTED), and Claude does".to_owned()
            }
            (Some(CredentialKind::ApiKey), Ok(())) => format!("ANTHROPIC_API_KEY, which pays for {model}"),
            (Some(CredentialKind::OAuthToken), Ok(())) => format!("CLAUDE_CODE_OAUTH_TOKEN, which pays for {model}"),
            (Some(CredentialKind::Login), Ok(())) => {
                format!("the login of Claude Code in ~/.claude, which pays for {model}")
            }
            (Some(_), Err(sentence)) => format!("NOT USABLE: {sentence}"),
            (None, _) => "NONE, so every task without its own fails as no_credential. Set ANTHROPIC_API_KEY or \
                          CLAUDE_CODE_OAUTH_TOKEN\n              in .env, or log in with `claude`. To try it without one: \
                          claude-runner serve --scripted"
                .to_owned(),
        }
    }
}

/// Resolves a path for people. A path that cannot be resolved stays as it is.
fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(kind: Option<CredentialKind>, usable: Result<(), String>) -> Greeting {
        Greeting {
            address: "0.0.0.0:3456".parse().unwrap(),
            needs_key: true,
            credential: CredentialState { kind, usable, expires_at: None },
            model: "claude-sonnet-4-6".to_owned(),
            agents: vec!["support".to_owned(), "billing".to_owned()],
            agent_dir: PathBuf::from("./agents"),
            engine: "28.5.1 on vm, at unix:///var/run/docker.sock".to_owned(),
            data_dir: PathBuf::from("/srv/data"),
        }
    }

    #[test]
    fn the_lines_tell_where_everything_is() {
        assert_eq!(
            greeting(Some(CredentialKind::ApiKey), Ok(())).to_string(),
            format!(
                "Claude Runner {}\n\n  page        http://127.0.0.1:3456 (it asks for an API key)\n  \
                 credential  ANTHROPIC_API_KEY, which pays for claude-sonnet-4-6\n  \
                 agents      support, billing, in ./agents\n  \
                 engine      28.5.1 on vm, at unix:///var/run/docker.sock\n  data        /srv/data\n",
                env!("CARGO_PKG_VERSION")
            )
        );
    }

    #[test]
    fn what_does_not_answer_is_said_loudly() {
        let scripted = greeting(Some(CredentialKind::Scripted), Ok(())).to_string();
        assert!(scripted.contains("THE SCRIPTED MODEL ANSWERS, NOT CLAUDE"), "{scripted}");
        let none = greeting(None, Err("there is none".to_owned())).to_string();
        assert!(none.contains("no_credential") && none.contains("claude-runner serve --scripted"), "{none}");
        let expired = greeting(Some(CredentialKind::Login), Err("the login expired".to_owned())).to_string();
        assert!(expired.contains("NOT USABLE: the login expired"), "{expired}");
    }
}
