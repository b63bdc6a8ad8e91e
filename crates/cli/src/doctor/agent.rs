//! The agent template.

use std::path::Path;

use agent_template::Agents;

use super::check::{Check, in_words};

const NAME: &str = "agent";

pub(super) fn look(directory: &Path) -> Check {
    let shown = directory.display();
    let checked = Agents::load(directory)
        .and_then(|agents| agents.entries().iter().try_for_each(|entry| agents.check(entry)).map(|()| agents));
    match checked {
        Ok(agents) => {
            let (names, default) = (agents.names(), agents.default_name());
            Check::ok(NAME, format!("in {shown} there are {names}; the default is `{default}`"))
        }
        Err(error) => {
            Check::fail(NAME, in_words(&error), "correct it, or set AGENT_DIR to a directory with an AGENTS.md")
        }
    }
}
