//! The summary for the user, with texts for AGENTS.md and `agent.toml`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::model::{Collection, Tool};
use super::names::one_line;
use super::write::{usage_line, variables};

/// Reports the generated tools, the omitted requests and the remaining steps.
pub fn report(collection: &Collection, directory: &str) -> String {
    let mut text = String::new();
    for tool in &collection.tools {
        let _ = writeln!(text, "wrote {directory}/{}.sh: {} commands", tool.name, tool.operations.len());
    }
    for (reason, count) in &collection.left_out {
        let _ = writeln!(text, "left out {count}: {}", one_line(reason));
    }
    let addresses: BTreeSet<(String, &str)> =
        collection.tools.iter().map(|tool| (tool.service.url_variable(), tool.service.address.as_str())).collect();
    let all: BTreeSet<String> = collection.tools.iter().flat_map(variables).collect();
    let _ = writeln!(text, "\nVariables that a session's `env` has to bring:");
    for variable in &all {
        let address = addresses.iter().find(|(name, _)| name == variable);
        let _ = match address {
            Some((_, address)) => writeln!(text, "  {variable}  the address; here it was {}", one_line(address)),
            None => writeln!(text, "  {variable}  a secret"),
        };
    }
    let quoted: Vec<String> = all.iter().map(|name| format!("\"{name}\"")).collect();
    let _ = writeln!(text, "\nFor agent.toml, so that no task begins without them:\n\nenv = [{}]", quoted.join(", "));
    let _ = writeln!(text, "\nFor AGENTS.md:\n\n{}", instructions(&collection.tools));
    text
}

fn instructions(tools: &[Tool]) -> String {
    let mut text = "## Tools\n\nCommands for Bash in the workspace. Each prints its answer; `help` explains its options. Addresses and secrets are in the\nenvironment already; never print them.\n\n| command | asks |\n|---|---|\n".to_owned();
    for tool in tools {
        for operation in &tool.operations {
            let path = one_line(&super::model::shown_path(&operation.path)).replace('|', "\\|").replace('`', "'");
            let summary =
                operation.summary.as_deref().map(|summary| format!(": {}", one_line(summary).replace('|', "\\|")));
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
