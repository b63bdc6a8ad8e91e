//! Checks values against the schemas of a document: they must fit, and the document must name all their members.

use serde_json::{Value, json};

/// One of the API's two documents.
pub(super) struct Document(pub(super) Value);

impl Document {
    pub(super) fn read(name: &str) -> Self {
        Document(serde_json::from_str(&super::read(&format!("crates/api/src/{name}.json"))).unwrap())
    }

    pub(super) fn schema(&self, name: &str) -> &Value {
        let schema = &self.0["components"]["schemas"][name];
        assert!(schema.is_object(), "there is no schema {name}");
        schema
    }

    /// Fails if the value does not fit or has a member that the schema does not name.
    #[track_caller]
    pub(super) fn assert_describes(&self, name: &str, value: &Value) {
        let root = json!({
            "$ref": format!("#/components/schemas/{name}"),
            "components": { "schemas": self.0["components"]["schemas"] },
        });
        let validator = jsonschema::validator_for(&root).unwrap();
        let errors: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
        assert_eq!(errors, [] as [&str; 0], "{name}: {value:#}");
        let unknown = self.unknown(self.schema(name), value);
        assert_eq!(unknown, [] as [&str; 0], "{name} does not name what is in {value:#}");
    }

    /// Returns the members, at any depth, that the schema does not name.
    fn unknown(&self, schema: &Value, value: &Value) -> Vec<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.unknown(self.0.pointer(reference.trim_start_matches('#')).unwrap(), value);
        }
        let alternatives = [&schema["oneOf"], &schema["anyOf"]].into_iter().filter_map(Value::as_array).flatten();
        if let Some(best) = alternatives.map(|one| self.unknown(one, value)).min_by_key(Vec::len) {
            return best;
        }
        match value {
            Value::Array(items) => items.iter().flat_map(|item| self.unknown(&schema["items"], item)).collect(),
            Value::Object(members) => {
                // Without a list of properties, the members belong to the callers or the agent.
                let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
                let of_member = |(name, member): (&String, &Value)| match properties.get(name) {
                    Some(schema) => self.unknown(schema, member),
                    None => vec![name.clone()],
                };
                members.iter().flat_map(of_member).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        }
    }
}
