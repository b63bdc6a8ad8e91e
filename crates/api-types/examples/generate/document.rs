//! The two documents: what is written by hand in `documents/`, with the schemas of the structs put in.

use std::collections::BTreeSet;

use api_types::change::Change;
use api_types::event::Event;
use api_types::{agent, ask, files, health, model, problem, request, sandbox, session, task, usage, webhook};
use serde_json::{Map, Value};
use utoipa::OpenApi;

use crate::tidy;

/// Paths, parameters, responses, and an example of each schema.
const OPENAPI: &str = include_str!("../../documents/openapi.json");

/// Channels, operations, and messages with an example of each.
const ASYNCAPI: &str = include_str!("../../documents/asyncapi.json");

/// With what they refer to.
#[derive(OpenApi)]
#[openapi(components(schemas(
    agent::Agent,
    ask::Ask,
    ask::AskAnswer,
    files::Listing,
    health::Health,
    health::Readiness,
    model::Model,
    model::RefreshedPrices,
    problem::Problem,
    request::CredentialRequest,
    request::TaskRequest,
    request::TicketRequest,
    sandbox::Sandboxes,
    session::Deleted,
    session::Reset,
    session::Session,
    session::Ticket,
    task::Aborted,
    task::Accepted,
    task::Answer,
    task::Task,
    usage::UsageReport,
    webhook::Replayed,
    webhook::Webhook,
)))]
struct Answers;

#[derive(OpenApi)]
#[openapi(components(schemas(Event, Change)))]
struct Events;

pub(crate) fn openapi() -> Result<Value, serde_json::Error> {
    document(OPENAPI, schemas(&Answers::openapi())?, &[])
}

pub(crate) fn asyncapi() -> Result<Value, serde_json::Error> {
    let unions = ["Event", "Change"];
    let mut schemas = schemas(&Events::openapi())?;
    for union in unions {
        tidy::name_by_tag(&mut schemas, union);
    }
    document(ASYNCAPI, schemas, &unions)
}

/// The components of a document, each flat.
fn schemas(document: &utoipa::openapi::OpenApi) -> Result<Map<String, Value>, serde_json::Error> {
    let mut document = serde_json::to_value(document)?;
    let Value::Object(mut schemas) = document["components"]["schemas"].take() else { return Ok(Map::new()) };
    tidy::flatten(&mut schemas);
    schemas.values_mut().for_each(tidy::tidy);
    Ok(schemas)
}

/// `frame` with the schemas that it, or one of `more`, leads to. What the frame has of a schema stays: its examples.
fn document(frame: &str, schemas: Map<String, Value>, more: &[&str]) -> Result<Value, serde_json::Error> {
    let mut document: Value = serde_json::from_str(frame)?;
    let mut wanted: Vec<String> = more.iter().copied().map(str::to_owned).collect();
    references(&document, &mut wanted);
    let mut needed = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if let Some(schema) = schemas.get(&name)
            && needed.insert(name)
        {
            references(schema, &mut wanted);
        }
    }
    let mut by_hand = match document["components"]["schemas"].take() {
        Value::Object(by_hand) => by_hand,
        _ => Map::new(),
    };
    let mut all = Map::new();
    for (name, mut schema) in schemas.into_iter().filter(|(name, _)| needed.contains(name)) {
        if let (Some(Value::Object(more)), Value::Object(schema)) = (by_hand.remove(&name), &mut schema) {
            schema.extend(more);
        }
        all.insert(name, schema);
    }
    assert!(by_hand.is_empty(), "no struct stands for {:?}", by_hand.keys());
    document["components"]["schemas"] = Value::Object(all);
    Ok(document)
}

/// The names of the schemas that a value refers to.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(members) => {
            let name = members.get("$ref").and_then(Value::as_str);
            found.extend(name.and_then(|name| name.strip_prefix(tidy::SCHEMAS)).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
