//! Groups requests: requests that differ only in values become one operation, and the operations of one resource become
//! one tool.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::body::Sent;
use super::entry::RecordedRequest;
use super::headers;
use super::ids::Ids;
use super::path::pieces;
use super::rpc::Call;
use crate::builder::Builder;
use crate::model::{BodyKind, Operation, Piece, Place, TargetApi, Tool};
use crate::names::{self, is_sayable, slug, unique};
use crate::secrets::{is_secret_name, is_secret_value};

/// A request, or one call in it.
#[derive(Clone)]
pub(super) struct Request<'a> {
    pub(super) entry: &'a RecordedRequest,
    pub(super) call: Option<Call>,
}

/// The requests of one operation have an equal key: path, method and the call that the body or a header selects.
type Key = (Vec<Piece>, String, String);

pub(super) fn tools(requests: &[Request<'_>], ids: &Ids, apis: &BTreeMap<String, TargetApi>) -> Vec<Tool> {
    let mut tools: BTreeMap<(&TargetApi, String), BTreeMap<Key, Vec<Request<'_>>>> = BTreeMap::new();
    for request in requests {
        let Some(api) = apis.get(&request.entry.origin()) else { continue };
        let path = pieces(&request.entry.url, ids);
        let selector = request.call.as_ref().map(|call| call.selector.clone()).unwrap_or_default();
        let tool = tools.entry((api, names::resource(&path))).or_default();
        tool.entry((path, request.entry.method.clone(), selector)).or_default().push(request.clone());
    }
    let mut names = BTreeSet::new();
    tools
        .into_iter()
        .map(|((api, resource), operations)| {
            let mut taken = BTreeSet::from(["help".to_owned()]);
            let operations = operations
                .into_iter()
                .map(|((path, method, _), requests)| operation(api, path, &method, &requests, &mut taken))
                .collect();
            let name = unique(&format!("{}-{resource}", api.name), &mut names);
            Tool { name, resource, api: api.clone(), operations }
        })
        .collect()
}

fn operation(
    api: &TargetApi,
    path: Vec<Piece>,
    method: &str,
    requests: &[Request<'_>],
    taken: &mut BTreeSet<String>,
) -> Operation {
    let call = requests.iter().find_map(|request| request.call.as_ref());
    let name = call.map_or_else(|| names::operation(method, &path), |call| slug(&call.name));
    let mut builder = Builder::new(api, unique(&name, taken), method, path);
    builder.made.media_type = requests.iter().find_map(|request| request.entry.media_type.clone());
    match call {
        Some(call) if call.is_graphql || !call.fixed.is_empty() => add_call(&mut builder, call, requests),
        Some(_) | None => {
            add_fields(&mut builder, of_queries(requests), Place::Query);
            add_body(&mut builder, requests);
        }
    }
    headers::add(&mut builder, requests);
    builder.made
}

/// Adds the arguments of a call. What selects it is fixed.
fn add_call(builder: &mut Builder<'_>, call: &Call, requests: &[Request<'_>]) {
    builder.made.is_graphql = call.is_graphql;
    builder.made.nested_in.clone_from(&call.nested_in);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if call.in_query {
        builder.made.body = BodyKind::Query(call.nested_in.clone().unwrap_or_default());
        builder.made.nested_in = None;
        builder.made.fixed_query = call.fixed.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    } else {
        builder.made.body = BodyKind::Json;
        builder.made.fixed_fields = call.fixed.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        add_fields(builder, of_queries(requests), Place::Query);
    }
    let (as_text, as_json) = match builder.made.nested_in {
        Some(_) => (Place::NestedText, Place::NestedJson),
        None => (Place::Text, Place::Json),
    };
    let mut seen: BTreeMap<&str, Vec<&Value>> = call.types.keys().map(|name| (name.as_str(), Vec::new())).collect();
    for (name, value) in requests.iter().filter_map(|request| request.call.as_ref()).flat_map(|call| &call.arguments) {
        seen.entry(name).or_default().push(value);
    }
    for (name, values) in seen.into_iter().filter(|(name, _)| is_sayable(name)) {
        let kind = call.types.get(name);
        let is_text = kind.and_then(|kind| kind.is_text).unwrap_or_else(|| is_all_text(&values));
        let required = kind.is_some_and(|kind| kind.required);
        let place = if is_text { as_text } else { as_json };
        if is_text && is_secret(name, &values) {
            builder.secret(name, place, required);
        } else {
            builder.input(name, place, required, None);
        }
    }
}

fn add_body(builder: &mut Builder<'_>, requests: &[Request<'_>]) {
    let sent: Vec<&Sent> = requests.iter().map(|request| &request.entry.sent).collect();
    let any = |fits: fn(&Sent) -> bool| sent.iter().any(|sent| fits(sent));
    if any(|sent| matches!(sent, Sent::Raw)) {
        builder.raw_body(false);
    } else if any(|sent| matches!(sent, Sent::Parts(_))) {
        builder.made.body = BodyKind::Parts;
        add_parts(builder, &sent);
    } else if any(|sent| matches!(sent, Sent::Form(_))) {
        builder.made.body = BodyKind::Form;
        add_fields(builder, sent.iter().flat_map(|sent| of_form(sent)).collect(), Place::Form);
    } else if any(|sent| matches!(sent, Sent::Json(_))) {
        builder.whole_body(true);
    } else if any(|sent| matches!(sent, Sent::Object(_))) {
        builder.made.body = BodyKind::Json;
        add_fields(builder, sent.iter().flat_map(|sent| of_object(sent)).collect(), Place::Text);
    }
}

fn add_parts(builder: &mut Builder<'_>, sent: &[&Sent]) {
    let mut seen: BTreeMap<&str, (bool, Vec<Value>)> = BTreeMap::new();
    for sent in sent {
        let Sent::Parts(parts) = sent else { continue };
        for part in parts.iter().filter(|part| is_sayable(&part.name) && !part.name.contains('=')) {
            let (is_file, values) = seen.entry(&part.name).or_default();
            *is_file |= part.is_file;
            values.push(Value::String(part.value.clone()));
        }
    }
    for (name, (is_file, values)) in seen {
        let values: Vec<&Value> = values.iter().collect();
        if is_file {
            builder.input(name, Place::FilePart, false, None);
        } else if is_secret(name, &values) {
            builder.secret(name, Place::Part, true);
        } else {
            builder.input(name, Place::Part, false, None);
        }
    }
}

fn of_queries(requests: &[Request<'_>]) -> Vec<(String, Value)> {
    let pairs = requests.iter().flat_map(|request| request.entry.url.query_pairs());
    pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect()
}

fn of_form(sent: &Sent) -> Vec<(String, Value)> {
    match sent {
        Sent::Form(pairs) => pairs.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect(),
        Sent::Nothing | Sent::Object(_) | Sent::Json(_) | Sent::Parts(_) | Sent::Raw => Vec::new(),
    }
}

fn of_object(sent: &Sent) -> Vec<(String, Value)> {
    match sent {
        Sent::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        Sent::Nothing | Sent::Form(_) | Sent::Json(_) | Sent::Parts(_) | Sent::Raw => Vec::new(),
    }
}

/// Adds options for the fields. `place` is the place of string fields.
fn add_fields(builder: &mut Builder<'_>, fields: Vec<(String, Value)>, place: Place) {
    let mut seen: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (name, value) in fields.into_iter().filter(|(name, _)| is_sayable(name)) {
        seen.entry(name).or_default().push(value);
    }
    for (name, values) in seen {
        let values: Vec<&Value> = values.iter().collect();
        if is_secret(&name, &values) {
            builder.secret(&name, place, true);
            continue;
        }
        let place = if place == Place::Text && !is_all_text(&values) { Place::Json } else { place };
        builder.input(&name, place, false, None);
    }
}

/// True if the values are strings, or null besides.
fn is_all_text(values: &[&Value]) -> bool {
    let mut values = values.iter().filter(|value| !value.is_null()).peekable();
    values.peek().is_some() && values.all(|value| value.is_string())
}

/// True if a field is a secret by its name, or by a value that is the same in all requests.
fn is_secret(name: &str, values: &[&Value]) -> bool {
    let texts: BTreeSet<&str> = values.iter().filter_map(|value| value.as_str()).collect();
    let by_value = || texts.len() == 1 && texts.iter().any(|value| is_secret_value(name, value));
    !texts.is_empty() && (is_secret_name(name) || by_value())
}
