//! The agent template.

use std::path::Path;

use super::check::{Check, in_words};
use crate::agent::AgentTemplate;

const NAME: &str = "agent";

pub(super) fn look(directory: &Path) -> Check {
    let shown = directory.display();
    match AgentTemplate::load(directory) {
        Ok(template) => {
            let output = if template.output_schema.is_some() { "with" } else { "without" };
            let kib = template.archive.len().div_ceil(1024);
            Check::ok(NAME, format!("the template in {shown} loads: {kib} KiB, {output} OUTPUT.schema.json"))
        }
        Err(error) => {
            Check::fail(NAME, in_words(&error), "correct it, or set AGENT_DIR to a directory with an AGENTS.md")
        }
    }
}
