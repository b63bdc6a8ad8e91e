//! The description of the streams against the code and against the description of the rest.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::event_types;
use super::schema::Document;

/// Name on the wire and name of the schema of every message.
pub(super) fn messages(document: &Document) -> Vec<(String, String)> {
    let messages = document.0["components"]["messages"].as_object().unwrap();
    let of = |message: &Value| {
        let schema = message["payload"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        (message["name"].as_str().unwrap().to_owned(), schema.to_owned())
    };
    messages.values().map(of).collect()
}

#[test]
fn every_event_is_described_and_nothing_else() {
    let document = Document::read("asyncapi");
    let messages = messages(&document);
    let mut names: Vec<&String> = messages.iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, event_types().iter().collect::<Vec<_>>());
    for (name, schema) in &messages {
        assert_eq!(document.schema(schema)["properties"]["type"], json!({ "const": name }));
    }
    // The union that clients make their types of.
    let union: BTreeSet<&str> = document.schema("Event")["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["$ref"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(union, messages.iter().map(|(_, schema)| schema.as_str()).collect());
    // Plain HTTP has no first frame.
    for (channel, without) in [("stream", 0), ("events", 1)] {
        let listed = document.0["channels"][channel]["messages"].as_object().unwrap().len();
        assert_eq!(listed, messages.len() - without, "{channel}");
    }
}

#[test]
fn what_both_documents_describe_is_the_same_in_both() {
    let (events, api) = (Document::read("asyncapi"), Document::read("openapi"));
    for name in ["TaskStatus", "ErrorType", "Usage"] {
        assert_eq!(events.schema(name), api.schema(name), "{name}");
    }
    let complete = events.schema("TaskComplete")["properties"].as_object().unwrap();
    let answer = api.schema("Answer")["properties"].as_object().unwrap();
    let own = ["type", "seq", "ts"].len();
    assert_eq!(complete.len(), answer.len() + own);
    for (name, schema) in answer {
        assert_eq!(&complete[name], schema, "{name}");
    }
}
