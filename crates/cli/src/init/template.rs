//! The files of a new agent template.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{AnswerForm, YesOrNo};

const SCHEMA: &str = include_str!("template/OUTPUT.schema.json");
const OUTPUT_JSON: &str = include_str!("template/OUTPUT.json.md");
const OUTPUT_TEXT: &str = include_str!("template/OUTPUT.text.md");
const INSTRUCTIONS: &str = include_str!("template/AGENTS.md");
const TOOLS: &str = include_str!("template/TOOLS.md");
const TOOL: &str = include_str!("template/api.sh");

pub(super) struct Wishes {
    pub(super) name: String,
    /// Continues the sentence "the agent that".
    pub(super) does: String,
    pub(super) answer: AnswerForm,
    pub(super) tools: YesOrNo,
}

pub(super) fn write(wishes: &Wishes, directory: &Path) -> io::Result<()> {
    let does = wishes.does.trim_end_matches('.');
    let tools = match wishes.tools {
        YesOrNo::Yes => TOOLS,
        YesOrNo::No => "",
    };
    let instructions = INSTRUCTIONS.replace("{tools}", tools).replace("{name}", &wishes.name).replace("{does}", does);
    put(directory, "AGENTS.md", &instructions, 0o644)?;
    match wishes.answer {
        AnswerForm::Json => {
            put(directory, "OUTPUT.md", OUTPUT_JSON, 0o644)?;
            put(directory, "OUTPUT.schema.json", SCHEMA, 0o644)?;
        }
        AnswerForm::Text => put(directory, "OUTPUT.md", OUTPUT_TEXT, 0o644)?,
    }
    if wishes.tools == YesOrNo::Yes {
        std::fs::create_dir(directory.join("tools"))?;
        put(directory, "tools/api.sh", TOOL, 0o755)?;
    }
    Ok(())
}

fn put(directory: &Path, name: &str, content: &str, mode: u32) -> io::Result<()> {
    let path = directory.join(name);
    std::fs::write(&path, content)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode))
}
