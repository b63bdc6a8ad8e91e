//! OpenAPI documents: 3.0 and 3.1, and 2.0 (Swagger), as YAML or JSON.
//!
//! | module | contains |
//! |---|---|
//! | `document` | the document, with the files to which it refers |
//! | `swagger` | 2.0 as 3.0 |
//! | `source` | references |
//! | `path` | path templates |
//! | `operation`, `parameters`, `body` | one operation |
//! | `schema` | the types and the fields of schemas |
//! | `server`, `security` | addresses and credentials |

mod body;
mod document;
mod operation;
mod parameters;
mod path;
mod schema;
mod security;
mod server;
mod source;
mod swagger;

use std::collections::{BTreeMap, BTreeSet};

use self::server::TargetApis;
use self::source::Source;
use super::InputError;
use super::har::Chosen;
use super::left_out::{LeftOut, Odd};
use super::model::{Collection, Operation, TargetApi, Tool};
use super::names::{self, unique};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// Methods whose answers have nothing for an agent.
const UNUSED_METHODS: [&str; 3] = ["head", "options", "trace"];

/// Reads a file next to the document, by its path relative to the document's directory. The error is a sentence.
pub type ReadFile<'a> = dyn FnMut(&str) -> Result<Vec<u8>, String> + 'a;

/// Builds the tools for the operations of a document. Fails if the file is not an OpenAPI document, or if no operation
/// is usable.
pub fn from_openapi(bytes: &[u8], chosen: &Chosen, read: &mut ReadFile<'_>) -> Result<Collection, InputError> {
    let mut notes = Vec::new();
    let document = document::read(bytes, read, &mut notes)?;
    let paths = document["paths"].as_object().ok_or_else(|| InputError::at("paths", "it must be an object"))?;
    let source = Source::new(&document);
    let mut apis = TargetApis::new(&document, chosen);
    let mut left_out = LeftOut::default();
    let mut groups: BTreeMap<(TargetApi, String), Vec<Operation>> = BTreeMap::new();
    let mut taken: BTreeMap<(TargetApi, String), BTreeSet<String>> = BTreeMap::new();
    for (template, item) in paths.iter().filter(|(template, _)| !template.starts_with("x-")) {
        let place = format!("paths[{template:?}]");
        let (path, items) = match (path::parse(template), source.path_item(item)) {
            (Ok(path), Ok(items)) => (path, items),
            (Err(reason), _) => {
                left_out.add_odd(Odd::new(reason, place));
                continue;
            }
            (_, Err(reference)) => {
                let reason = if reference.starts_with("$ref") { NOWHERE } else { "paths that are not an object" };
                left_out.add_odd(Odd::new(reason, format!("{place}: {reference}")));
                continue;
            }
        };
        for method in UNUSED_METHODS.iter().filter(|method| items.iter().any(|item| item.get(**method).is_some())) {
            left_out.add_odd(Odd::new("operations of HEAD, OPTIONS or TRACE", format!("{place}.{method}")));
        }
        let resource = names::resource(&path.pieces);
        for method in METHODS {
            let Some((item, operation)) = items.iter().find_map(|item| Some((*item, item.get(method)?))) else {
                continue;
            };
            let place = format!("{place}.{method}");
            if !operation.is_object() {
                left_out.add_odd(Odd::new("operations that are not an object", place));
                continue;
            }
            let api = apis.of(item, operation);
            let key = (api.clone(), resource.clone());
            let taken = taken.entry(key.clone()).or_insert_with(|| BTreeSet::from(["help".to_owned()]));
            let found = operation::Found { method, path: &path, item, operation, place: &place };
            match operation::build(&source, &api, &found, taken, &mut left_out) {
                Ok(operation) => groups.entry(key).or_default().push(operation),
                Err(odd) => left_out.add_odd(odd),
            }
        }
    }
    if groups.is_empty() {
        let reasons: Vec<String> =
            left_out.iter().map(|(reason, omitted)| format!("; left out: {reason} {}", omitted.shown())).collect();
        let reasons = reasons.concat();
        return Err(InputError::Nothing(format!("paths: it contains no operation that a tool can call{reasons}")));
    }
    let mut names = BTreeSet::new();
    let tools = groups.into_iter().map(|((api, resource), operations)| {
        let name = unique(&format!("{}-{resource}", api.name), &mut names);
        Tool { name, resource, api, operations }
    });
    Ok(Collection { tools: tools.collect(), left_out, notes })
}

const NOWHERE: &str = "a $ref that leads nowhere";
