//! Writes a tool as a shell script. Text from the input is a quoted literal, or part of a help text that the shell does
//! not expand.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::help::help;
use super::model::{BodyKind, Input, Operation, Piece, Place, Secret, SecretPlace, Tool};
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
    let address = if tool.api.address.is_empty() { "the API" } else { &tool.api.address };
    let about = format!("Requests to {} below /{}", one_line(address), tool.resource);
    let text = RUNTIME
        .replacen("ABOUT", &format!("{about}. `{}.sh help` explains them.", tool.name), 1)
        .replacen("'PROGRAM_NAME'", &literal(&tool.name), 1)
        .replacen("'URL_NAME'", &literal(&tool.api.url_variable()), 1);
    // Insert the input last and from back to front, because it may contain one of the marks.
    let (head, tail) = text.split_once(COMMANDS).unwrap_or((&text, ""));
    let (before, after) = head.split_once(HELP).unwrap_or((head, ""));
    let text = [before, &help(tool), after, &commands, tail].concat();
    ToolFile { name: format!("{}.sh", tool.name), text }
}

/// All variables that a tool uses. The address comes first.
pub(super) fn variables(tool: &Tool) -> Vec<String> {
    let secrets = tool.operations.iter().flat_map(|operation| &operation.secrets).map(|secret| secret.variable.clone());
    let secrets: BTreeSet<String> = secrets.collect();
    std::iter::once(tool.api.url_variable()).chain(secrets).collect()
}

fn write_operation(script: &mut String, operation: &Operation) {
    let _ = writeln!(script, "    {})", literal(&operation.name));
    let mut line = |text: String| {
        let _ = writeln!(script, "        {text}");
    };
    let mut path = String::new();
    let mut count = 0;
    for piece in &operation.path {
        let escape = match piece {
            Piece::Literal(text) => {
                path.push_str(&literal(text));
                continue;
            }
            Piece::Parameter(_) => "escaped",
            Piece::Rest(_) => "escaped_path",
        };
        let _ = write!(path, "\"$({escape} \"${{positional[{count}]}}\")\"");
        count += 1;
    }
    let mut required = String::new();
    for Input { option, name, place, required: is_required, .. } in &operation.inputs {
        let option = literal(&format!("--{option}"));
        line(format!("option {option} {} {}", word(*place), literal(&sent_name(*place, name))));
        if *is_required && *place != Place::Raw {
            let _ = write!(required, " {option}");
        }
    }
    for (name, value) in &operation.fixed_fields {
        line(format!("field fields {} {}", literal(&json_text(name)), literal(value)));
    }
    line(format!("take {count} \"$@\""));
    if !required.is_empty() {
        line(format!("need{required}"));
    }
    write_body(operation, &mut line);
    for (name, value) in &operation.constants {
        line(format!("headers+=({})", literal(&format!("{name}: {value}"))));
    }
    for (name, value) in &operation.fixed_query {
        line(format!("query+=({})", literal(&pair(name, value))));
    }
    for secret in &operation.secrets {
        line(secret_line(secret));
    }
    line(format!("path={path}"));
    line(format!("send {} \"$path\"", literal(&operation.method)));
    line(";;".to_owned());
}

fn write_body(operation: &Operation, line: &mut impl FnMut(String)) {
    let kind = match &operation.body {
        BodyKind::None => return,
        BodyKind::Json => "json",
        BodyKind::Form => "form",
        BodyKind::Parts => "parts",
        BodyKind::Raw => "raw",
        BodyKind::Query(_) => "in_query",
    };
    line(format!("body_kind={kind}"));
    let raw = |place: Place| operation.inputs.iter().find(|input| input.place == place);
    if let (Some(text), Some(file)) = (raw(Place::Raw), raw(Place::RawFile))
        && text.required
    {
        line(format!("need_body --{} --{}", text.option, file.option));
    }
    if let Some(media_type) = &operation.media_type {
        line(format!("media_type={}", literal(media_type)));
    }
    if let Some(nested_in) = &operation.nested_in {
        line(format!("nested_in={}", literal(&json_text(nested_in))));
    }
    if let BodyKind::Query(parameter) = &operation.body {
        line(format!("parameter={}", literal(parameter)));
    }
    if operation.is_graphql {
        line("is_graphql=yes".to_owned());
    }
}

fn secret_line(Secret { place, variable, required }: &Secret) -> String {
    let command = if *required { "secret" } else { "optional_secret" };
    let (place, name) = match place {
        SecretPlace::Header { name, before } => ("header", format!("{name}: {before}")),
        SecretPlace::Cookie(name) => ("cookie", name.clone()),
        SecretPlace::Query(name) => ("query", name.clone()),
        SecretPlace::Form(name) => ("form", name.clone()),
        SecretPlace::Part(name) => ("part", name.clone()),
        SecretPlace::Json(name) => ("fields", json_text(name)),
        SecretPlace::Nested(name) => ("nested", json_text(name)),
    };
    format!("{command} {place} {} {}", literal(&name), literal(variable))
}

/// The name as the runtime needs it.
fn sent_name(place: Place, name: &str) -> String {
    match place {
        Place::Text | Place::Json | Place::NestedText | Place::NestedJson => json_text(name),
        Place::Query
        | Place::Header
        | Place::Cookie
        | Place::Form
        | Place::Part
        | Place::JsonPart
        | Place::FilePart
        | Place::Whole
        | Place::Raw
        | Place::RawFile => name.to_owned(),
    }
}

const fn word(place: Place) -> &'static str {
    match place {
        Place::Query => "query",
        Place::Header => "header",
        Place::Cookie => "cookie",
        Place::Form => "form",
        Place::Part => "part",
        Place::JsonPart => "json_part",
        Place::FilePart => "file_part",
        Place::Text => "fields_text",
        Place::Json => "fields_json",
        Place::NestedText => "nested_text",
        Place::NestedJson => "nested_json",
        Place::Whole => "whole",
        Place::Raw => "raw",
        Place::RawFile => "raw_file",
    }
}

fn json_text(text: &str) -> String {
    Value::from(text).to_string()
}

/// A part of a query, percent-encoded.
fn pair(name: &str, value: &str) -> String {
    let encoded =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    format!("{}={}", encoded(name), encoded(value))
}

/// Quotes a text for the shell.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
