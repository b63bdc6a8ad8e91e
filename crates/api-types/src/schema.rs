//! Schemas that attributes cannot express.

use serde_json::{Value, json};
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, SchemaType, Type};

/// The pattern of a session id excludes most characters that may not be in it, and spaces at its ends.
const SESSION_ID: &str = concat!(
    r"^[^ /\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\ufeff]",
    r"([^/\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\ufeff]*",
    r"[^ /\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\ufeff])?$"
);

fn one_of(words: &[&str]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).build()
}

fn nullable(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

pub(crate) fn queued() -> Object {
    one_of(&["queued"])
}

pub(crate) fn sandbox_state() -> Object {
    one_of(&["warm", "cold", "starting", "idle", "running", "stopping"])
}

pub(crate) fn webhook_type() -> Object {
    one_of(&["task.completed", "task.failed", "task.aborted"])
}

pub(crate) fn product_name() -> Object {
    one_of(&[crate::health::NAME])
}

pub(crate) fn always_true() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])).build()
}

pub(crate) fn nullable_stage() -> Object {
    let words: [Value; 3] = [json!("orchestrator"), json!("worker"), Value::Null];
    ObjectBuilder::new().schema_type(nullable(Type::String)).enum_values(Some(words)).build()
}

pub(crate) fn session_id() -> Object {
    let id = ObjectBuilder::new().schema_type(Type::String);
    id.min_length(Some(1)).max_length(Some(128)).pattern(Some(SESSION_ID)).build()
}

/// Variables by their names.
pub(crate) fn env() -> Object {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z_][A-Za-z0-9_]*$"))
        .max_length(Some(256))
        .build();
    let value =
        ObjectBuilder::new().schema_type(Type::String).max_length(Some(65_536)).pattern(Some(r"^[^\x00]*$")).build();
    ObjectBuilder::new()
        .schema_type(nullable(Type::Object))
        .description(Some(
            "variables for the agent's tools, kept by the session: at most 1,000, 64 KiB each and 1 MiB in all; names that steer the agent itself are refused",
        ))
        .property_names(Some(name))
        .max_properties(Some(domain::session::MAX_VARIABLES))
        .additional_properties(Some(AdditionalProperties::RefOr(value.into())))
        .build()
}
