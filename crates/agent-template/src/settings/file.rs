//! The parser of `agent.toml`. An error contains its place in the file and the allowed values.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use domain::model::check_model_name;
use domain::plain::of_serde;
use domain::session::CREDENTIAL_NAMES;
use domain::task::{MAX_TIMEOUT_MS, MAX_TURNS, check_variable};
use serde::Deserialize;
use toml::Spanned;

use super::asks::{self, Table};
use super::{AgentSettings, McpServer, McpTransport, PermissionMode};
use crate::TemplateError;
use crate::text::place;

/// The maximum length of a description, which is one line in lists.
const MAX_DESCRIPTION: usize = 500;

/// The time that a task waits for an MCP server, and the maximum that a file can set.
const STARTUP_TIMEOUT_MS: u64 = 30_000;
const MAX_STARTUP_TIMEOUT_MS: u64 = 600_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    default: bool,
    description: Option<Spanned<String>>,
    model: Option<Spanned<String>>,
    max_turns: Option<Spanned<i64>>,
    timeout_ms: Option<Spanned<i64>>,
    max_cost_usd: Option<Spanned<f64>>,
    #[serde(default)]
    permission_mode: PermissionMode,
    #[serde(default)]
    egress: Vec<Spanned<String>>,
    #[serde(default)]
    env: Vec<Spanned<String>>,
    #[serde(default)]
    mcp_servers: BTreeMap<String, Spanned<Server>>,
    asks: Option<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    startup_timeout_ms: Option<i64>,
    #[serde(default)]
    required: bool,
}

/// An error at a place in the file.
#[derive(Debug)]
pub(super) struct Mistake {
    line: usize,
    column: usize,
    reason: String,
}

impl Mistake {
    fn at(text: &str, span: Option<Range<usize>>, reason: impl Into<String>) -> Self {
        let (line, column) = place(text, span.map_or(0, |span| span.start));
        Mistake { line, column, reason: reason.into() }
    }

    pub(super) fn in_file(self, path: &Path) -> TemplateError {
        let Mistake { line, column, reason } = self;
        TemplateError::At { path: path.to_owned(), line, column, reason }
    }
}

pub(super) fn parse(text: &str) -> Result<AgentSettings, Mistake> {
    let file: File = toml::from_str(text)
        .map_err(|error| Mistake::at(text, error.span(), of_serde("setting", &one_line(error.message()))))?;
    let wrong = |span: Range<usize>, reason: String| Mistake::at(text, Some(span), reason);

    let long = |text: &&Spanned<String>| text.get_ref().chars().count() > MAX_DESCRIPTION;
    if let Some(description) = file.description.as_ref().filter(long) {
        let reason = format!("description: it must have at most {MAX_DESCRIPTION} characters");
        return Err(wrong(description.span(), reason));
    }
    if let Some(model) = &file.model {
        check_model_name(model.get_ref()).map_err(|error| wrong(model.span(), format!("model: {error}")))?;
    }
    if let Some(cost) = file.max_cost_usd.as_ref().filter(|cost| !(*cost.get_ref() > 0.0 && cost.get_ref().is_finite()))
    {
        return Err(wrong(cost.span(), "max_cost_usd: it must be a number of US dollars above 0".to_owned()));
    }
    let within = |name: &str, value: Option<Spanned<i64>>, most: u64| -> Result<Option<u64>, Mistake> {
        let Some(value) = value else { return Ok(None) };
        let number = u64::try_from(*value.get_ref()).ok().filter(|number| (1..=most).contains(number));
        let number = number.ok_or_else(|| wrong(value.span(), format!("{name}: it must be from 1 to {most}")))?;
        Ok(Some(number))
    };
    let max_turns = within("max_turns", file.max_turns, MAX_TURNS.into())?;
    let timeout_ms = within("timeout_ms", file.timeout_ms, MAX_TIMEOUT_MS)?;

    let mut egress = Vec::new();
    for rule in file.egress {
        egress.push(rule.get_ref().parse().map_err(|error| wrong(rule.span(), format!("egress: {error}")))?);
    }
    let mut env = Vec::new();
    for name in file.env {
        if !CREDENTIAL_NAMES.contains(&name.get_ref().as_str()) {
            let checked = check_variable(name.get_ref());
            checked.map_err(|problem| wrong(name.span(), format!("env: {problem}")))?;
        }
        env.push(name.into_inner());
    }
    let mut mcp_servers = BTreeMap::new();
    for (name, server) in file.mcp_servers {
        let span = server.span();
        let server = check_server(&name, server.into_inner()).map_err(|reason| wrong(span, reason))?;
        mcp_servers.insert(name, server);
    }
    let asks = file.asks.map(asks::check).transpose().map_err(|(span, reason)| wrong(span, reason))?;
    Ok(AgentSettings {
        is_default: file.default,
        description: file.description.map(Spanned::into_inner),
        model: file.model.map(Spanned::into_inner),
        max_turns: max_turns.and_then(|turns| u32::try_from(turns).ok()),
        timeout_ms,
        max_cost_usd: file.max_cost_usd.map(Spanned::into_inner),
        permission_mode: file.permission_mode,
        egress,
        env,
        mcp_servers,
        asks,
    })
}

fn check_server(name: &str, server: Server) -> Result<McpServer, String> {
    let place = format!("mcp_servers.{name}");
    // The tools of a server are named mcp__NAME__TOOL.
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err(format!("{place}: a server's name has letters, digits, `-` and `_`"));
    }
    let timeout_ms = match server.startup_timeout_ms.map(u64::try_from) {
        None => STARTUP_TIMEOUT_MS,
        Some(Ok(timeout_ms)) if (1..=MAX_STARTUP_TIMEOUT_MS).contains(&timeout_ms) => timeout_ms,
        Some(_) => return Err(format!("{place}: `startup_timeout_ms` must be from 1 to {MAX_STARTUP_TIMEOUT_MS}")),
    };
    let required = server.required;
    let transport = transport(&place, server)?;
    Ok(McpServer { transport, startup_timeout: Duration::from_millis(timeout_ms), required })
}

fn transport(place: &str, server: Server) -> Result<McpTransport, String> {
    match (server.command, server.url) {
        (Some(command), None) if server.headers.is_empty() => Ok(McpTransport::Stdio { command, args: server.args }),
        (Some(_), None) => Err(format!("{place}: `headers` is only allowed with `url`")),
        (None, Some(url)) if server.args.is_empty() => {
            let web = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
            let checked = web && url::Url::parse(&url).is_ok();
            if checked {
                Ok(McpTransport::Http { url, headers: server.headers })
            } else {
                Err(format!("{place}: `url` must be an http or https URL"))
            }
        }
        (None, Some(_)) => Err(format!("{place}: `args` is only allowed with `command`")),
        (Some(_), Some(_)) | (None, None) => Err(format!(
            "{place}: it must have either `command` (and `args`), a program in the sandbox, or `url` (and `headers`)"
        )),
    }
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}
