//! The summary for the user, with texts for AGENTS.md and `agent.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::help::usage_line;
use super::model::{Collection, Secret, SecretPlace, Tool};
use super::names::one_line;

/// Reports the generated tools, the omitted requests and the remaining steps.
pub fn report(collection: &Collection, directory: &str) -> String {
    let mut text = String::new();
    for tool in &collection.tools {
        let count = tool.operations.len();
        let commands = if count == 1 { "command" } else { "commands" };
        let _ = writeln!(text, "wrote {directory}/{}.sh: {count} {commands}", tool.name);
    }
    for (reason, omitted) in collection.left_out.iter() {
        let places = one_line(&omitted.shown());
        let space = if places.is_empty() { "" } else { " " };
        let _ = writeln!(text, "left out {}: {}{space}{places}", omitted.count, one_line(reason));
    }
    for note in &collection.notes {
        let _ = writeln!(text, "\nNote: {}", one_note(note));
    }
    let addresses: BTreeMap<String, &str> =
        collection.tools.iter().map(|tool| (tool.api.url_variable(), tool.api.address.as_str())).collect();
    let secrets = secrets(&collection.tools);
    let all: BTreeSet<&String> = addresses.keys().chain(secrets.keys()).collect();
    let _ = writeln!(text, "\nVariables that a session's `env` has to bring:");
    for variable in &all {
        let about = match (addresses.get(*variable), secrets.get(*variable)) {
            (Some(address), _) => about_address(address),
            (None, secret) => secret.cloned().unwrap_or_default().about(),
        };
        let _ = writeln!(text, "  {variable}  {about}");
    }
    let needed = |name: &&&String| secrets.get(**name).is_none_or(|secret| secret.required);
    let quoted: Vec<String> = all.iter().filter(needed).map(|name| format!("\"{name}\"")).collect();
    let _ = writeln!(text, "\nFor agent.toml, so that no task begins without them:\n\nenv = [{}]", quoted.join(", "));
    let _ = writeln!(text, "\nFor AGENTS.md:\n\n{}", instructions(&collection.tools));
    text
}

fn about_address(address: &str) -> String {
    if address.contains("://") {
        format!("the address; here it was {}", one_line(address))
    } else if address.is_empty() {
        "the address; the document names none".to_owned()
    } else {
        format!("the address; the document names no host, only the path `{}`, which belongs to it", one_line(address))
    }
}

/// A note is longer than one line of a table, but has no more than the characters of one.
fn one_note(note: &str) -> String {
    let words: Vec<String> = note.split(' ').map(one_line).collect();
    words.join(" ")
}

/// The use of a variable in all tools.
#[derive(Clone, Default)]
struct SecretUse {
    required: bool,
    /// The value is all of the header `Authorization`.
    is_authorization: bool,
    is_basic: bool,
}

impl SecretUse {
    fn about(&self) -> String {
        let optional = if self.required { "" } else { ", optional" };
        let form = if self.is_authorization {
            ": the whole header Authorization, with its scheme"
        } else if self.is_basic {
            ": NAME:PASSWORD in base64"
        } else {
            ""
        };
        format!("a secret{optional}{form}")
    }
}

fn secrets(tools: &[Tool]) -> BTreeMap<String, SecretUse> {
    let mut uses: BTreeMap<String, SecretUse> = BTreeMap::new();
    let all = tools.iter().flat_map(|tool| &tool.operations).flat_map(|operation| &operation.secrets);
    for Secret { place, variable, required } in all {
        let seen = uses.entry(variable.clone()).or_default();
        seen.required |= required;
        if let SecretPlace::Header { name, before } = place {
            seen.is_authorization |= name.eq_ignore_ascii_case("authorization") && before.is_empty();
            seen.is_basic |= *before == "Basic ";
        }
    }
    uses
}

fn instructions(tools: &[Tool]) -> String {
    let mut text = "## Tools\n\nCommands for Bash in the workspace. Each prints its answer; `help` explains its options. Addresses and secrets are in the\nenvironment already; never print them.\n\n| command | asks |\n|---|---|\n".to_owned();
    for tool in tools {
        for operation in &tool.operations {
            let path = one_line(&super::model::shown_path(&operation.path)).replace('|', "\\|").replace('`', "'");
            let summary = operation.summary.as_deref().map(one_line).filter(|summary| !summary.is_empty());
            let summary = summary.map(|summary| format!(": {}", summary.replace('|', "\\|")));
            let _ = writeln!(
                text,
                "| `tools/{}.sh {}` | `{} {path}`{} |",
                tool.name,
                usage_line(operation),
                operation.method,
                summary.unwrap_or_default()
            );
        }
    }
    text
}
