//! The agent template.

use std::path::Path;

use agent_template::Agents;

use super::check::{Check, in_words};

const NAME: &str = "agent";

pub(super) fn look(directory: &Path) -> Check {
    let shown = directory.display();
    let checked = Agents::load(directory).and_then(|agents| {
        let warnings = agents.entries().iter().map(|entry| agents.check(entry));
        warnings.collect::<Result<Vec<_>, _>>().map(|warnings| (agents, warnings.concat()))
    });
    match checked {
        Ok((agents, warnings)) => {
            let (names, default) = (agents.names(), agents.default_name());
            let found = format!("in {shown} there are {names}; the default is `{default}`");
            if warnings.is_empty() {
                Check::ok(NAME, found)
            } else {
                Check::warn(NAME, format!("{found}; {}", warnings.join("; ")), "correct these files of the templates")
            }
        }
        Err(error) => {
            Check::fail(NAME, in_words(&error), "correct it, or set AGENT_DIR to a directory with an AGENTS.md")
        }
    }
}
