//! Changes a document of 2.0 (Swagger) to 3.0, as far as tools need it. References stay valid, because nothing moves.

use serde_json::{Map, Value, json};

use super::source::Source;

/// Members of a parameter of 2.0 that belong to its schema.
const OF_SCHEMA: [&str; 5] = ["type", "format", "items", "enum", "default"];

/// Returns the document as one of 3.0.
pub(super) fn upgraded(mut document: Value) -> Value {
    let servers = servers(&document);
    let schemes = document["securityDefinitions"].as_object().cloned().unwrap_or_default();
    let schemes: Map<String, Value> =
        schemes.into_iter().map(|(name, scheme)| (name, upgraded_scheme(scheme))).collect();
    let mut paths = document["paths"].as_object().cloned().unwrap_or_default();
    for item in paths.values_mut() {
        // Operations of an item in another place are upgraded, too.
        let target = Source::new(&document).resolved(item).ok().cloned();
        if let Some(target) = target {
            *item = target;
        }
        upgrade_item(item, &document);
    }
    if let Some(document) = document.as_object_mut() {
        document.insert("servers".to_owned(), servers);
        document.insert("paths".to_owned(), Value::Object(paths));
        document.insert("components".to_owned(), json!({ "securitySchemes": schemes }));
    }
    document
}

fn servers(document: &Value) -> Value {
    let base = document["basePath"].as_str().unwrap_or_default().trim_end_matches('/');
    let schemes: Vec<&str> = document["schemes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let scheme = if schemes.is_empty() || schemes.contains(&"https") { "https" } else { "http" };
    match document["host"].as_str().filter(|host| !host.is_empty()) {
        Some(host) => json!([{ "url": format!("{scheme}://{host}{base}") }]),
        None => json!([{ "url": base }]),
    }
}

fn upgraded_scheme(mut scheme: Value) -> Value {
    if scheme["type"] == "basic" {
        scheme = json!({ "type": "http", "scheme": "basic" });
    }
    scheme
}

fn upgrade_item(item: &mut Value, document: &Value) {
    let Some(item) = item.as_object_mut() else { return };
    let shared = item.remove("parameters").unwrap_or_default();
    for operation in super::METHODS {
        let Some(operation) = item.get_mut(operation).and_then(Value::as_object_mut) else { continue };
        upgrade_operation(operation, &shared, document);
    }
}

fn upgrade_operation(operation: &mut Map<String, Value>, shared: &Value, document: &Value) {
    let source = Source::new(document);
    let own = operation.remove("parameters").unwrap_or_default();
    let mut parameters: Vec<Value> = Vec::new();
    let mut body = None;
    let mut form = Vec::new();
    for parameter in [shared, &own].into_iter().filter_map(Value::as_array).flatten() {
        match source.resolved(parameter) {
            Ok(parameter) => match parameter["in"].as_str() {
                Some("body") => body = Some(parameter),
                Some("formData") => form.push(parameter),
                _ => parameters.push(upgraded_parameter(parameter)),
            },
            // The reference is named where parameters are read.
            Err(_) => parameters.push(parameter.clone()),
        }
    }
    let list = |own: Option<&Value>, key: &str| -> Vec<String> {
        let list = own.filter(|own| own.is_array()).unwrap_or(&document[key]).as_array().cloned().unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let consumes = list(operation.get("consumes"), "consumes");
    let produces = list(operation.get("produces"), "produces");
    operation.insert("parameters".to_owned(), Value::Array(parameters));
    if let Some(body) = body {
        let media = json!({ "schema": body["schema"] });
        let types = if consumes.is_empty() { vec!["application/json".to_owned()] } else { consumes };
        let content: Map<String, Value> = types.into_iter().map(|name| (name, media.clone())).collect();
        operation.insert("requestBody".to_owned(), json!({ "required": body["required"] == true, "content": content }));
    } else if !form.is_empty() {
        operation.insert("requestBody".to_owned(), form_body(&form, &consumes));
    }
    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        let content: Map<String, Value> = produces.into_iter().map(|name| (name, json!({}))).collect();
        for response in responses.values_mut().filter_map(Value::as_object_mut) {
            if response.contains_key("schema") {
                response.insert("content".to_owned(), Value::Object(content.clone()));
            }
        }
    }
}

fn upgraded_parameter(parameter: &Value) -> Value {
    let mut parameter = parameter.clone();
    if let Some(fields) = parameter.as_object_mut() {
        let schema = OF_SCHEMA.iter().filter_map(|key| Some(((*key).to_owned(), fields.get(*key)?.clone()))).collect();
        fields.insert("schema".to_owned(), Value::Object(schema));
    }
    parameter
}

fn form_body(form: &[&Value], consumes: &[String]) -> Value {
    let has_file = form.iter().any(|field| field["type"] == "file");
    let is_multipart = has_file || consumes.iter().any(|kind| kind.starts_with("multipart/"));
    let kind = if is_multipart { "multipart/form-data" } else { "application/x-www-form-urlencoded" };
    let named = form.iter().filter_map(|field| Some((field["name"].as_str()?.to_owned(), (*field).clone())));
    let required = form.iter().filter(|field| field["required"] == true).filter_map(|field| field["name"].as_str());
    let required: Vec<&str> = required.collect();
    // The members of a field of a form are those of a schema.
    let properties: Map<String, Value> = named
        .map(|(name, mut field)| {
            if let Some(field) = field.as_object_mut() {
                field.remove("required");
            }
            (name, field)
        })
        .collect();
    json!({ "content": { kind: { "schema": { "type": "object", "properties": properties, "required": required } } } })
}
