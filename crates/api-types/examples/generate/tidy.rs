//! Schemas as utoipa makes them, in the form that readers of the documents know.

use serde_json::{Map, Value, json};

pub(crate) const SCHEMAS: &str = "#/components/schemas/";

/// Puts the members of `#[serde(flatten)]` fields where they are in JSON: between the others, in the order of the struct.
pub(crate) fn flatten(schemas: &mut Map<String, Value>) {
    let before = schemas.clone();
    for schema in schemas.values_mut() {
        // Unions are another matter.
        if let Some(parts) = schema["allOf"].as_array().cloned() {
            let mut flat = json!({ "type": "object" });
            if let Some(description) = schema.get("description") {
                flat["description"] = description.clone();
            }
            flat["required"] = json!([]);
            flat["properties"] = json!({});
            for part in &parts {
                add(&mut flat, part, &before);
            }
            *schema = flat;
        }
    }
}

fn add(flat: &mut Value, part: &Value, schemas: &Map<String, Value>) {
    if let Some(name) = part["$ref"].as_str().and_then(|name| name.strip_prefix(SCHEMAS)) {
        return add(flat, &schemas[name], schemas);
    }
    if let (Some(all), Some(required)) = (flat["required"].as_array_mut(), part["required"].as_array()) {
        all.extend(required.iter().cloned());
    }
    if let (Some(all), Some(properties)) = (flat["properties"].as_object_mut(), part["properties"].as_object()) {
        all.extend(properties.clone());
    }
}

/// Makes plain references of the alternatives of an internally tagged enum: each struct gets the tag as its first member.
pub(crate) fn name_by_tag(schemas: &mut Map<String, Value>, union: &str) {
    let mut alternatives = schemas[union]["oneOf"].take();
    for alternative in alternatives.as_array_mut().into_iter().flatten() {
        let tag = alternative["allOf"][1]["properties"]["type"].take();
        let reference = alternative["allOf"][0].take();
        let name =
            reference["$ref"].as_str().and_then(|name| name.strip_prefix(SCHEMAS)).unwrap_or_default().to_owned();
        let schema = &mut schemas[&name];
        let mut required = vec![json!("type")];
        required.extend(schema["required"].as_array().cloned().unwrap_or_default());
        let mut properties = Map::from_iter([("type".to_owned(), tag)]);
        properties.extend(schema["properties"].as_object().cloned().unwrap_or_default());
        schema["required"] = Value::Array(required);
        schema["properties"] = Value::Object(properties);
        *alternative = reference;
    }
    let description = schemas[union]["description"].take();
    schemas[union] = json!({ "description": description, "oneOf": alternatives });
}

/// A word that is the only one is a constant. Rust's widths of numbers say nothing to anybody else. An inline enum with a
/// description needs no second part for it.
pub(crate) fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(members) => {
            if let Some([Value::Object(one), Value::Object(text)]) =
                members.get("allOf").and_then(Value::as_array).map(Vec::as_slice)
                && text.get("properties").is_none()
            {
                let (one, text) = (one.clone(), text.clone());
                members.remove("allOf");
                members.extend(one);
                members.extend(text.into_iter().filter(|(name, _)| name == "description"));
            }
            let is_number = |kind: &Value| kind == "integer" || kind == "number";
            let kind = members.get("type").cloned().unwrap_or_default();
            if is_number(&kind) || kind.as_array().is_some_and(|kinds| kinds.iter().any(is_number)) {
                members.remove("format");
            }
            if let Some([word]) = members.get("enum").and_then(Value::as_array).map(Vec::as_slice) {
                let word = word.clone();
                members.remove("enum");
                members.remove("type");
                members.insert("const".to_owned(), word);
            }
            members.values_mut().for_each(tidy);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
