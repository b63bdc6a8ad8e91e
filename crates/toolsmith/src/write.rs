//! Writes a tool as a shell script. Text from the input is a quoted literal, or part of a help text that the shell does
//! not expand.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::model::{BodyKind, Input, Operation, Piece, Place, SecretPlace, Tool, shown, shown_path};
use super::names::one_line;

/// The code that all tools share.
const RUNTIME: &str = include_str!("runtime.sh");
/// The mark in the runtime that a tool's commands replace.
const COMMANDS: &str = "    # COMMANDS\n";
const HELP: &str = "HELP_TEXT\n";

/// A script and its file name.
#[derive(Debug)]
pub struct ToolFile {
    pub name: String,
    pub text: String,
}

/// Writes the script of a tool.
pub fn write(tool: &Tool) -> ToolFile {
    let mut commands = String::new();
    for operation in &tool.operations {
        write_operation(&mut commands, operation);
    }
    let about = format!("Requests to {} below /{}", one_line(&tool.service.address), tool.resource);
    let text = RUNTIME
        .replacen("ABOUT", &format!("{about}. `{}.sh help` explains them.", tool.name), 1)
        .replacen("'PROGRAM_NAME'", &literal(&tool.name), 1)
        .replacen("'URL_NAME'", &literal(&tool.service.url_variable()), 1);
    // Insert the input last and from back to front, because it may contain one of the marks.
    let (head, tail) = text.split_once(COMMANDS).unwrap_or((&text, ""));
    let (before, after) = head.split_once(HELP).unwrap_or((head, ""));
    let text = [before, &help(tool), after, &commands, tail].concat();
    ToolFile { name: format!("{}.sh", tool.name), text }
}

/// All variables that a tool needs. The address comes first.
pub(super) fn variables(tool: &Tool) -> Vec<String> {
    let secrets = tool.operations.iter().flat_map(|operation| &operation.secrets).map(|secret| secret.variable.clone());
    let secrets: BTreeSet<String> = secrets.collect();
    std::iter::once(tool.service.url_variable()).chain(secrets).collect()
}

/// The usage of a command: `get-user USER_ID [--expand TEXT]`.
pub(super) fn usage_line(operation: &Operation) -> String {
    let mut line = operation.name.clone();
    for piece in &operation.path {
        if let Piece::Parameter(name) = piece {
            line.extend([" ", &shown(name)]);
        }
    }
    for input in &operation.inputs {
        let option = format!("--{} {}", input.option, kind(input.place));
        line.extend(if input.required { [" ", &option, ""] } else { [" [", &option, "]"] });
    }
    line
}

const fn kind(place: Place) -> &'static str {
    match place {
        Place::Query | Place::Header | Place::Form | Place::Text => "TEXT",
        Place::Json | Place::Whole => "JSON",
    }
}

/// The help text. Every line is fixed text or starts with a space, so that none can end the here-document early.
fn help(tool: &Tool) -> String {
    let mut help = format!("Usage: {}.sh COMMAND [ARGUMENT...]\n", tool.name);
    for operation in &tool.operations {
        let _ = write!(help, "\n  {}\n      ", usage_line(operation));
        if let Some(summary) = &operation.summary {
            let _ = write!(help, "{}: ", one_line(summary));
        }
        let _ = writeln!(help, "{} {}", operation.method, one_line(&shown_path(&operation.path)));
        for input in operation.inputs.iter().filter(|input| input.about.is_some() || input.option != input.name) {
            let about = input.about.as_deref().map(|about| format!(": {}", one_line(about))).unwrap_or_default();
            let _ = writeln!(help, "      --{} is `{}`{about}", input.option, one_line(&input.name));
        }
    }
    let _ = write!(
        help,
        "\n  help\n      this text\n\nPrints the answer, as JSON where it is. Options that are JSON take numbers, true, false, lists and objects as they are.\n\n\
         Environment: {}; http_proxy and https_proxy are used where set.\n\
         Exit status: 1 the API refused, 2 wrong usage or environment, 3 the API could not be reached.\n",
        variables(tool).join(", ")
    );
    help
}

fn write_operation(script: &mut String, operation: &Operation) {
    let _ = writeln!(script, "    {})", literal(&operation.name));
    let mut line = |text: String| {
        let _ = writeln!(script, "        {text}");
    };
    let mut path = String::new();
    let mut count = 0;
    for piece in &operation.path {
        match piece {
            Piece::Literal(text) => path.push_str(&literal(text)),
            Piece::Parameter(_) => {
                let _ = write!(path, "\"$(escaped \"${{positional[{count}]}}\")\"");
                count += 1;
            }
        }
    }
    let mut required = String::new();
    for Input { option, name, place, required: is_required, .. } in &operation.inputs {
        line(format!("option {} {} {}", literal(&format!("--{option}")), word(*place), literal(name)));
        if *is_required {
            let _ = write!(required, " {}", literal(&format!("--{option}")));
        }
    }
    line(format!("take {count} \"$@\""));
    if !required.is_empty() {
        line(format!("need{required}"));
    }
    for (name, value) in &operation.constants {
        line(format!("headers+=({})", literal(&format!("{name}: {value}"))));
    }
    match operation.body {
        BodyKind::None => {}
        BodyKind::Json => line("body_kind=json".to_owned()),
        BodyKind::Form => line("body_kind=form".to_owned()),
    }
    for secret in &operation.secrets {
        let variable = literal(&secret.variable);
        line(match &secret.place {
            SecretPlace::Header { name, before } => {
                format!("secret_header {} {variable}", literal(&format!("{name}: {before}")))
            }
            SecretPlace::Query(name) => format!("secret_query {} {variable}", literal(name)),
            SecretPlace::Form(name) => format!("secret_form {} {variable}", literal(name)),
            SecretPlace::Json(name) => format!("secret_json {} {variable}", literal(name)),
        });
    }
    line(format!("path={path}"));
    line(format!("send {} \"$path\"", literal(&operation.method)));
    line(";;".to_owned());
}

const fn word(place: Place) -> &'static str {
    match place {
        Place::Query => "query",
        Place::Header => "header",
        Place::Form => "form",
        Place::Text => "text",
        Place::Json => "json",
        Place::Whole => "whole",
    }
}

/// Quotes a text for the shell.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
