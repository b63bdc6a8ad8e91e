//! The top level of a schema. The schema becomes the input of a tool, so it must describe an object, and the model API allows no
//! `$ref`, `allOf`, `anyOf` or `oneOf` there.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::cli::DEFINITIONS;

/// The number of references that are followed at the top level.
const MAX_REFERENCES: usize = 16;

/// Returns the reason why no object fits the schema, with the pointer of the keyword.
pub(super) fn refusal(schema: &Map<String, Value>) -> Option<(&'static str, String)> {
    const HINT: &str = "put the value into a property of an object";
    let is_object = |value: &Value| value == "object";
    let allows = match schema.get("type") {
        None => true,
        Some(Value::Array(names)) => names.iter().any(is_object),
        Some(name) => is_object(name) || !name.is_string(),
    };
    if !allows {
        return Some(("/type", format!("`type` must be \"object\", because the answer is an object; {HINT}")));
    }
    if schema.get("const").is_some_and(|value| !value.is_object()) {
        return Some(("/const", format!("no object fits `const`, and the answer is an object; {HINT}")));
    }
    let values = schema.get("enum").and_then(Value::as_array);
    values
        .is_some_and(|values| !values.iter().any(Value::is_object))
        .then(|| ("/enum", format!("no object fits `enum`, and the answer is an object; {HINT}")))
}

/// Makes a rewritten schema one of an object. It allows at least the objects that it allowed before.
pub(super) fn make_object(schema: &mut Map<String, Value>, definitions: &Map<String, Value>) {
    let mut followed = 0;
    while let Some(reference) = schema.shift_remove("$ref") {
        if let (Some(target), true) = (target(&reference, definitions), followed < MAX_REFERENCES) {
            merge_all(schema, target);
        }
        followed += 1;
    }
    let mut all = take_branches(schema, "allOf", definitions);
    let mut sets: Vec<Vec<Map<String, Value>>> = Vec::new();
    for branch in &mut all {
        sets.extend(["anyOf", "oneOf"].map(|keyword| take_branches(branch, keyword, definitions)));
    }
    sets.extend(["anyOf", "oneOf"].map(|keyword| take_branches(schema, keyword, definitions)));
    let has_branches = !all.is_empty() || sets.iter().any(|branches| !branches.is_empty());
    for branch in &all {
        merge_all(schema, branch);
    }
    for branches in sets {
        let required: Vec<BTreeSet<String>> = branches.iter().map(required).collect();
        for branch in &branches {
            merge_properties(schema, branch);
        }
        let mut shared = required.into_iter();
        if let Some(first) = shared.next() {
            require(schema, shared.fold(first, |shared, other| shared.intersection(&other).cloned().collect()));
        }
    }
    if has_branches {
        // It would refuse properties of a branch that was not merged.
        schema.shift_remove("additionalProperties");
    }
    schema.shift_remove("type");
    schema.shift_insert(0, "type".to_owned(), "object".into());
}

/// Adds the definitions that the schema refers to, also through others.
pub(super) fn add_definitions(schema: &mut Map<String, Value>, mut definitions: Map<String, Value>) {
    let mut wanted = BTreeSet::new();
    for value in schema.values() {
        names_in(value, &definitions, &mut wanted);
    }
    definitions.retain(|name, _| wanted.contains(name));
    if !definitions.is_empty() {
        schema.insert(DEFINITIONS.to_owned(), definitions.into());
    }
}

fn names_in(value: &Value, definitions: &Map<String, Value>, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(name) = map.get("$ref").and_then(name_of)
                && names.insert(name.to_owned())
                && let Some(target) = definitions.get(name)
            {
                names_in(target, definitions, names);
            }
            map.values().for_each(|value| names_in(value, definitions, names));
        }
        Value::Array(items) => items.iter().for_each(|value| names_in(value, definitions, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn name_of(reference: &Value) -> Option<&str> {
    reference.as_str()?.strip_prefix("#/")?.strip_prefix(DEFINITIONS)?.strip_prefix('/')
}

fn target<'a>(reference: &Value, definitions: &'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
    definitions.get(name_of(reference)?)?.as_object()
}

/// Takes the schemas out of a keyword of the top level. References are followed.
fn take_branches(
    schema: &mut Map<String, Value>,
    keyword: &str,
    definitions: &Map<String, Value>,
) -> Vec<Map<String, Value>> {
    let Some(Value::Array(branches)) = schema.shift_remove(keyword) else { return Vec::new() };
    let followed = branches.into_iter().map(|branch| {
        let Value::Object(mut branch) = branch else { return Map::new() };
        for _ in 0..MAX_REFERENCES {
            let Some(reference) = branch.shift_remove("$ref") else { break };
            if let Some(target) = target(&reference, definitions) {
                merge_all(&mut branch, target);
            }
        }
        branch
    });
    followed.collect()
}

/// Adds another schema that must fit too, as far as the keywords do not meet.
fn merge_all(schema: &mut Map<String, Value>, other: &Map<String, Value>) {
    merge_properties(schema, other);
    require(schema, required(other));
    for (keyword, value) in other {
        if !matches!(keyword.as_str(), "properties" | "required" | "additionalProperties")
            && !schema.contains_key(keyword)
        {
            schema.insert(keyword.clone(), value.clone());
        }
    }
    match (schema.get("additionalProperties"), other.get("additionalProperties")) {
        // Each of them knows its own properties only.
        (Some(_), _) if other.contains_key("properties") => {
            schema.shift_remove("additionalProperties");
        }
        (None, Some(additional)) if !schema.contains_key("properties") || other.contains_key("properties") => {
            schema.insert("additionalProperties".to_owned(), additional.clone());
        }
        (Some(_) | None, _) => {}
    }
}

/// Adds the properties of another schema. One that both have fits either.
fn merge_properties(schema: &mut Map<String, Value>, other: &Map<String, Value>) {
    let Some(Value::Object(others)) = other.get("properties") else { return };
    let entry = schema.entry("properties").or_insert_with(|| json!({}));
    let Value::Object(properties) = entry else { return };
    for (name, property) in others {
        match properties.get_mut(name) {
            None => {
                properties.insert(name.clone(), property.clone());
            }
            Some(known) if known == property => {}
            Some(known) => *known = json!({ "anyOf": [known, property] }),
        }
    }
}

fn required(schema: &Map<String, Value>) -> BTreeSet<String> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

fn require(schema: &mut Map<String, Value>, names: BTreeSet<String>) {
    let known = required(schema);
    let added: Vec<Value> = names.into_iter().filter(|name| !known.contains(name)).map(Value::from).collect();
    if added.is_empty() {
        return;
    }
    let entry = schema.entry("required").or_insert_with(|| json!([]));
    if let Value::Array(required) = entry {
        required.extend(added);
    }
}
