//! Calls of which many share one URL: GraphQL and JSON-RPC in the body, and headers that name the call. Each call
//! becomes a command of its own.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::body::Sent;
use super::entry::RecordedRequest;
use super::graphql::{self, VariableType};

/// Headers that name the call.
pub(super) const SELECTORS: [&str; 2] = ["soapaction", "x-amz-target"];

/// The call in a request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Equal for all requests of the same call.
    pub(super) selector: String,
    pub(super) name: String,
    /// Fields of the body that stay as they are.
    pub(super) fixed: Vec<(String, Value)>,
    /// The field of the body that has the arguments, and the arguments.
    pub(super) nested_in: Option<String>,
    pub(super) arguments: Map<String, Value>,
    pub(super) types: BTreeMap<String, VariableType>,
    /// The arguments are a parameter of the query, not a part of the body.
    pub(super) in_query: bool,
    pub(super) is_graphql: bool,
}

/// The result for a request.
pub(super) enum Calls {
    /// The URL and the method say everything.
    Plain,
    Named(Vec<Call>),
    /// A call that cannot become a command, and the reason.
    Unusable(&'static str),
}

/// The calls of a request. A list in the body has several.
pub(super) fn calls(entry: &RecordedRequest) -> Calls {
    let objects: Vec<&Map<String, Value>> = match &entry.sent {
        Sent::Object(object) => vec![object],
        Sent::Json(Value::Array(list)) => list.iter().filter_map(Value::as_object).collect(),
        Sent::Nothing if entry.method == "GET" => return in_query(entry),
        Sent::Json(_) | Sent::Nothing | Sent::Form(_) | Sent::Parts(_) | Sent::Raw => Vec::new(),
    };
    let mut calls = Vec::new();
    for object in objects {
        match graphql_call(object, entry.url.path()).or_else(|| json_rpc_call(object).map(Ok)) {
            Some(Ok(call)) => calls.push(call),
            Some(Err(reason)) => return Calls::Unusable(reason),
            None => return by_header(entry),
        }
    }
    if calls.is_empty() { by_header(entry) } else { Calls::Named(calls) }
}

fn by_header(entry: &RecordedRequest) -> Calls {
    let named = SELECTORS.iter().find_map(|name| entry.header(name)).map(|value| value.trim_matches('"'));
    let Some(value) = named.filter(|value| !value.is_empty()) else { return Calls::Plain };
    let name = value.trim_end_matches('/').rsplit(['/', '#', '.', ':']).next().unwrap_or(value);
    Calls::Named(vec![Call {
        selector: value.to_owned(),
        name: name.to_owned(),
        fixed: Vec::new(),
        nested_in: None,
        arguments: Map::new(),
        types: BTreeMap::new(),
        in_query: false,
        is_graphql: false,
    }])
}

const SECRET_IN_DOCUMENT: &str = "GraphQL requests with a secret in their document";

fn graphql_call(object: &Map<String, Value>, path: &str) -> Option<Result<Call, &'static str>> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let variables = object.get("variables");
    let document = text("query");
    let wanted = text("operationName");
    let read = document.and_then(|document| graphql::operation(document, wanted));
    let is_persisted = object.get("extensions").is_some_and(|extensions| extensions["persistedQuery"].is_object());
    let by_id = ["id", "queryId", "doc_id", "documentId"].iter().find(|key| object.contains_key(**key));
    let path = path.to_ascii_lowercase();
    let at_graphql = path.contains("graphql") || path.ends_with("/gql");
    let is_call = read.is_some() || (wanted.is_some() && (is_persisted || (at_graphql && by_id.is_some())));
    if !is_call {
        return None;
    }
    if document.is_some_and(graphql::has_secret) {
        return Some(Err(SECRET_IN_DOCUMENT));
    }
    let read = read.unwrap_or_default();
    let name = wanted.map(str::to_owned).or(read.name).unwrap_or_else(|| "query".to_owned());
    let fixed = ["operationName", "query", "extensions", "id", "queryId", "doc_id", "documentId"];
    let fixed: Vec<(String, Value)> = fixed
        .iter()
        .filter_map(|key| {
            let value = object.get(*key).filter(|value| !value.is_null())?;
            // Other extensions are of the one request: traces, and sometimes a token.
            let value = match *key {
                "extensions" => json!({ "persistedQuery": value.get("persistedQuery")? }),
                _ => value.clone(),
            };
            Some(((*key).to_owned(), value))
        })
        .collect();
    let selector = format!("{name} {}", Value::Object(fixed.iter().cloned().collect()));
    Some(Ok(Call {
        selector,
        name,
        fixed,
        nested_in: Some("variables".to_owned()),
        arguments: variables.and_then(Value::as_object).cloned().unwrap_or_default(),
        types: read.variables,
        in_query: false,
        is_graphql: true,
    }))
}

fn json_rpc_call(object: &Map<String, Value>) -> Option<Call> {
    let method = object.get("method").and_then(Value::as_str)?;
    let has = |key: &str| object.contains_key(key);
    if !(has("jsonrpc") || (has("params") && has("id"))) {
        return None;
    }
    let mut fixed: Vec<(String, Value)> = Vec::new();
    for (name, value) in object {
        match name.as_str() {
            "jsonrpc" | "method" => fixed.push((name.clone(), value.clone())),
            "id" if !value.is_null() => fixed.push((name.clone(), Value::from(1))),
            _ => {}
        }
    }
    let params = object.get("params").filter(|params| !params.is_null());
    let arguments = params.and_then(Value::as_object).cloned();
    // A list of parameters is one option.
    let (nested_in, arguments) = match (arguments, params) {
        (Some(arguments), _) => (Some("params".to_owned()), arguments),
        (None, Some(list)) => (None, [("params".to_owned(), list.clone())].into_iter().collect()),
        (None, None) => (None, Map::new()),
    };
    Some(Call {
        selector: method.to_owned(),
        name: method.to_owned(),
        fixed,
        nested_in,
        arguments,
        types: BTreeMap::new(),
        in_query: false,
        is_graphql: false,
    })
}

/// Reads GraphQL in the query of a GET.
fn in_query(entry: &RecordedRequest) -> Calls {
    let mut object = Map::new();
    for (name, value) in entry.url.query_pairs() {
        let parsed = matches!(&*name, "variables" | "extensions").then(|| serde_json::from_str(&value).ok());
        object.insert(name.into_owned(), parsed.flatten().unwrap_or_else(|| Value::String(value.into_owned())));
    }
    match graphql_call(&object, entry.url.path()) {
        Some(Ok(call)) => Calls::Named(vec![Call { in_query: true, ..call }]),
        Some(Err(reason)) => Calls::Unusable(reason),
        None => by_header(entry),
    }
}
