//! The help text of a tool.

use std::fmt::Write as _;

use super::model::{BodyKind, Operation, Piece, Place, Tool, shown, shown_path};
use super::names::one_line;
use super::write::variables;

/// The usage of a command: `get-user USER_ID [--expand TEXT]`.
pub(super) fn usage_line(operation: &Operation) -> String {
    let mut line = operation.name.clone();
    for piece in &operation.path {
        if let Piece::Parameter(name) | Piece::Rest(name) = piece {
            line.extend([" ", &shown(name)]);
        }
    }
    for input in &operation.inputs {
        let option = format!("--{} {}", input.option, kind(input.place));
        // A required body may also come from a file.
        let required = input.required && input.place != Place::Raw;
        line.extend(if required { [" ", &option, ""] } else { [" [", &option, "]"] });
    }
    line
}

const fn kind(place: Place) -> &'static str {
    match place {
        Place::Query
        | Place::Header
        | Place::Cookie
        | Place::Form
        | Place::Part
        | Place::Text
        | Place::NestedText
        | Place::Raw => "TEXT",
        Place::Json | Place::NestedJson | Place::JsonPart | Place::Whole => "JSON",
        Place::FilePart | Place::RawFile => "FILE",
    }
}

/// The help text. Every line is fixed text or starts with a space, so that none can end the here-document early.
pub(super) fn help(tool: &Tool) -> String {
    let mut help = format!("Usage: {}.sh COMMAND [ARGUMENT...]\n", tool.name);
    for operation in &tool.operations {
        let _ = write!(help, "\n  {}\n      ", usage_line(operation));
        if let Some(summary) = operation.summary.as_deref().map(one_line).filter(|summary| !summary.is_empty()) {
            let _ = write!(help, "{summary}: ");
        }
        let _ = writeln!(help, "{} {}", operation.method, one_line(&shown_path(&operation.path)));
        for input in operation.inputs.iter().filter(|input| input.about.is_some() || input.option != input.name) {
            let about = input.about.as_deref().map(|about| format!(": {}", one_line(about))).unwrap_or_default();
            let _ = writeln!(help, "      --{} is `{}`{about}", input.option, one_line(&input.name));
        }
    }
    help.push_str("\n  help\n      this text\n\nPrints the answer as it comes.");
    let has_json = |operation: &Operation| matches!(operation.body, BodyKind::Json | BodyKind::Query(_));
    if tool.operations.iter().any(has_json) {
        help.push_str(
            " Options that are JSON take numbers, true, false, null, lists and objects as\nthey are. `--null NAME` sends \
             null for the option --NAME.",
        );
    }
    let _ = write!(
        help,
        "\n\nEnvironment: {}; http_proxy and https_proxy are used where set.\n\
         Exit status: 1 the API refused, 2 wrong usage or environment, 3 the API could not be reached.\n",
        variables(tool).join(", ")
    );
    help
}
