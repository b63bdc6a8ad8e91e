//! Compares the description of the streams with the code and with the OpenAPI document.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::event_types;
use super::schema::Document;

/// Returns the wire name and the schema name of every message of a channel.
pub(super) fn messages(document: &Document, channel: &str) -> Vec<(String, String)> {
    let listed = document.0["channels"][channel]["messages"].as_object().unwrap();
    let of = |reference: &Value| {
        let message = document.0.pointer(reference["$ref"].as_str().unwrap().trim_start_matches('#')).unwrap();
        let schema = message["payload"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        (message["name"].as_str().unwrap().to_owned(), schema.to_owned())
    };
    listed.values().map(of).collect()
}

/// Returns the schemas of the union from which clients generate their types.
fn union<'a>(document: &'a Document, name: &str) -> BTreeSet<&'a str> {
    let all = document.schema(name)["oneOf"].as_array().unwrap();
    all.iter().map(|one| one["$ref"].as_str().unwrap().rsplit('/').next().unwrap()).collect()
}

#[test]
fn every_event_is_described_and_nothing_else() {
    let document = Document::read("asyncapi");
    let events = messages(&document, "stream");
    let mut names: Vec<&String> = events.iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, event_types().iter().collect::<Vec<_>>());
    let changes = messages(&document, "watch");
    for (name, schema) in events.iter().chain(&changes) {
        assert_eq!(document.schema(schema)["properties"]["type"], json!({ "const": name }));
    }
    assert_eq!(union(&document, "Event"), events.iter().map(|(_, schema)| schema.as_str()).collect());
    assert_eq!(union(&document, "Change"), changes.iter().map(|(_, schema)| schema.as_str()).collect());
    // Plain HTTP has no first frame.
    let listed = messages(&document, "events");
    assert_eq!(listed, events.iter().filter(|(name, _)| name != "connected").cloned().collect::<Vec<_>>());
    // An operation describes each channel with all its messages, and no message is unused.
    let all = document.0["components"]["messages"].as_object().unwrap().len();
    assert_eq!(all, events.len() + changes.len());
    let operations = document.0["operations"].as_object().unwrap();
    assert_eq!(operations.len(), document.0["channels"].as_object().unwrap().len());
    for operation in operations.values() {
        let channel =
            document.0.pointer(operation["channel"]["$ref"].as_str().unwrap().trim_start_matches('#')).unwrap();
        assert_eq!(operation["messages"].as_array().unwrap().len(), channel["messages"].as_object().unwrap().len());
    }
}

#[test]
fn what_both_documents_describe_is_the_same_in_both() {
    let (events, api) = (Document::read("asyncapi"), Document::read("openapi"));
    for name in ["TaskStatus", "ErrorType", "Usage"] {
        assert_eq!(events.schema(name), api.schema(name), "{name}");
    }
    for name in ["Task", "Session"] {
        let mut described = api.schema(name).clone();
        described.as_object_mut().unwrap().remove("examples");
        assert_eq!(*events.schema(name), described, "{name}");
    }
    let complete = events.schema("TaskComplete")["properties"].as_object().unwrap();
    let answer = api.schema("Answer")["properties"].as_object().unwrap();
    let own = ["type", "seq", "ts"].len();
    assert_eq!(complete.len(), answer.len() + own);
    for (name, schema) in answer {
        assert_eq!(&complete[name], schema, "{name}");
    }
}
