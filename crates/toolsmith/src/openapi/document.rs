//! Reads a document, and the files to which its references lead.

use serde_json::{Map, Value};

use super::ReadFile;
use super::swagger;
use crate::InputError;
use crate::input::{json, text, yaml};

/// The maximum number of files of one document.
const MAX_FILES: usize = 500;
/// The member of the document that has the other files.
const FILES: &str = "x-files";

/// Returns the document as OpenAPI 3, with all files in it. Files that cannot be read have a note.
pub(super) fn read(bytes: &[u8], read: &mut ReadFile<'_>, notes: &mut Vec<String>) -> Result<Value, InputError> {
    let mut document = parsed(bytes)?;
    let version = |key: &str| match &document[key] {
        Value::String(version) => version.clone(),
        // In YAML without quotes the version is a number.
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
    };
    let (openapi, swagger) = (version("openapi"), version("swagger"));
    let is_swagger = openapi.is_empty() && swagger.starts_with('2');
    // Some generators omit the version of a document that is otherwise one of 3.0.
    let is_unversioned = openapi.is_empty() && swagger.is_empty() && document["paths"].is_object();
    if !(openapi.starts_with('3') || is_swagger || is_unversioned) {
        let hint =
            if document["log"]["entries"].is_array() { "; this is a recording, use `tools from-har`" } else { "" };
        return Err(InputError::at("openapi", format!("it must be 3.0 or 3.1, or `swagger` must be 2.0{hint}")));
    }
    bundle(&mut document, read, notes);
    Ok(if is_swagger { swagger::upgraded(document) } else { document })
}

fn parsed(bytes: &[u8]) -> Result<Value, InputError> {
    let text = text::text(bytes)?;
    let text = text.trim_start_matches('\u{feff}').trim_end_matches('\0');
    // JSON is also YAML, but the JSON parser's errors are better.
    if text.trim_start().starts_with('{') {
        json::value(text).map_err(InputError::NotJson)
    } else {
        yaml::value(text).map_err(InputError::NotYaml)
    }
}

/// Reads all files to which references lead into the document, and changes the references to places in it.
fn bundle(document: &mut Value, read: &mut ReadFile<'_>, notes: &mut Vec<String>) {
    let mut wanted = Vec::new();
    redirect(document, None, &mut wanted);
    let mut files = Map::new();
    while let Some(name) = wanted.pop() {
        if files.contains_key(&name) || files.len() >= MAX_FILES {
            continue;
        }
        let file = read(&name).and_then(|bytes| parsed(&bytes).map_err(|error| error.to_string()));
        let mut file = file.unwrap_or_else(|error| {
            notes.push(format!("{name}, to which a $ref leads, could not be read: {error}"));
            Value::Null
        });
        redirect(&mut file, Some(&name), &mut wanted);
        files.insert(name, file);
    }
    if let (Some(document), false) = (document.as_object_mut(), files.is_empty()) {
        document.insert(FILES.to_owned(), Value::Object(files));
    }
}

/// Changes references of a file to references of the document. `own` is the file's name; the document has none.
fn redirect(value: &mut Value, own: Option<&str>, wanted: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| redirect(item, own, wanted)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(reference) if name == "$ref" => {
                        if let Some(new) = redirected(reference, own, wanted) {
                            *reference = new;
                        }
                    }
                    value => redirect(value, own, wanted),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn redirected(reference: &str, own: Option<&str>, wanted: &mut Vec<String>) -> Option<String> {
    let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
    if file.contains("://") {
        return None;
    }
    let target = if file.is_empty() {
        own?.to_owned()
    } else {
        let file = percent_encoding::percent_decode_str(file).decode_utf8_lossy();
        let target = joined(own.unwrap_or_default(), &file)?;
        wanted.push(target.clone());
        target
    };
    Some(format!("#/{FILES}/{}{pointer}", target.replace('~', "~0").replace('/', "~1").replace('%', "%25")))
}

/// The path of a file that another one names, relative to the document's directory. `None` if it is outside.
fn joined(own: &str, file: &str) -> Option<String> {
    if file.starts_with(['/', '\\']) || file.contains(['\0', '\\']) {
        return None;
    }
    let mut parts: Vec<&str> = own.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
