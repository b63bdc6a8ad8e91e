//! Rewrites a schema to one that the CLI and the model API accept. Whatever they do not know is taken out. The result allows
//! every answer that the schema allows, and the coordinator validates answers with the whole schema.

use serde_json::{Map, Value, json};

use super::keywords::{Content, content_of, pattern};
use super::references::References;
use super::root;

/// The definitions that a rewritten schema refers to.
pub(super) const DEFINITIONS: &str = "definitions";

pub(super) fn accepted(schema: &Value) -> Value {
    let mut rewriter = Rewriter::new(schema, false);
    let rewritten = rewriter.document();
    if !rewriter.is_lossy {
        return rewritten;
    }
    // A restriction inside of `not`, `if` or `oneOf` may not be loosened: the whole would allow less.
    Rewriter::new(schema, true).document()
}

/// The drafts, as far as their keywords differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Draft {
    /// Draft 4 to 7. Keywords beside `$ref` mean nothing.
    Early,
    From2019,
    From2020,
}

struct Rewriter<'a> {
    document: &'a Value,
    draft: Draft,
    references: References<'a>,
    /// `not`, `if` and `oneOf` are loosened too.
    is_relaxed: bool,
    /// A restriction was taken out.
    is_lossy: bool,
}

impl<'a> Rewriter<'a> {
    fn new(document: &'a Value, is_relaxed: bool) -> Self {
        let draft = match document.get("$schema").and_then(Value::as_str) {
            Some(name) if name.contains("/draft-") => Draft::Early,
            Some(name) if name.contains("2019-09") => Draft::From2019,
            Some(_) | None => Draft::From2020,
        };
        Rewriter { document, draft, references: References::of(document), is_relaxed, is_lossy: false }
    }

    fn document(&mut self) -> Value {
        let Value::Object(mut rewritten) = self.schema(self.document) else { return json!({ "type": "object" }) };
        let mut definitions = Map::new();
        while let Some((name, target)) = self.references.next() {
            let target = self.schema(target);
            definitions.insert(name, target);
        }
        root::make_object(&mut rewritten, &definitions);
        root::add_definitions(&mut rewritten, definitions);
        Value::Object(rewritten)
    }

    fn schema(&mut self, schema: &Value) -> Value {
        match schema {
            Value::Object(map) => Value::Object(self.keywords(map)),
            Value::Bool(allowed) => Value::Bool(*allowed),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => Value::Bool(true),
        }
    }

    fn keywords(&mut self, schema: &Map<String, Value>) -> Map<String, Value> {
        let mut rewritten = Map::new();
        let stands_alone = self.reference(schema, &mut rewritten) && self.draft == Draft::Early;
        let has_patterns = Self::keeps_patterns(schema);
        for (keyword, value) in schema {
            let annotates = matches!(content_of(keyword), Some(Content::Annotation(_)));
            if stands_alone && !annotates {
                continue;
            }
            match keyword.as_str() {
                "items" | "prefixItems" => self.items(schema, &mut rewritten),
                "dependentRequired" | "dependentSchemas" | "dependencies" => self.dependencies(schema, &mut rewritten),
                "exclusiveMaximum" | "exclusiveMinimum" if value.is_boolean() => {}
                "maximum" | "minimum" => Self::bound(keyword, schema, &mut rewritten),
                "patternProperties" | "additionalProperties" if !has_patterns => self.is_lossy = true,
                "contains" if schema.get("minContains").and_then(Value::as_f64) == Some(0.0) => {}
                "if" if !(schema.contains_key("then") || schema.contains_key("else")) => {}
                "then" | "else" if !schema.contains_key("if") => {}
                "if" | "then" | "else" | "not" if self.is_relaxed => {}
                "oneOf" if self.is_relaxed => {
                    let any = json!({ "anyOf": self.schemas(value) });
                    push_all(&mut rewritten, vec![any]);
                }
                "allOf" => {
                    let all = self.schemas(value);
                    push_all(&mut rewritten, all);
                }
                _ => self.keyword(keyword, value, &mut rewritten),
            }
        }
        describe_format(schema, &mut rewritten);
        rewritten
    }

    fn keyword(&mut self, keyword: &str, value: &Value, rewritten: &mut Map<String, Value>) {
        let content = match (content_of(keyword), value) {
            (None, _) => return,
            (Some(Content::Annotation(fits)), value) if fits(value) => value.clone(),
            (Some(Content::Annotation(_)), _) => return,
            (Some(Content::Assertion(fits)), value) if fits(value) => value.clone(),
            (Some(Content::Schema), value) => self.schema(value),
            (Some(Content::Schemas), Value::Array(schemas)) if !schemas.is_empty() => Value::Array(self.schemas(value)),
            (Some(Content::SchemaByName), Value::Object(schemas)) => {
                schemas.iter().map(|(name, schema)| (name.clone(), self.schema(schema))).collect()
            }
            (Some(Content::Assertion(_) | Content::Schemas | Content::SchemaByName | Content::Newer), _) => {
                self.is_lossy = true;
                return;
            }
        };
        rewritten.insert(keyword.to_owned(), content);
    }

    fn schemas(&mut self, schemas: &Value) -> Vec<Value> {
        schemas.as_array().into_iter().flatten().map(|schema| self.schema(schema)).collect()
    }

    /// Returns true if the schema has a reference.
    fn reference(&mut self, schema: &Map<String, Value>, rewritten: &mut Map<String, Value>) -> bool {
        let references = ["$ref", "$dynamicRef", "$recursiveRef"];
        let Some(reference) = references.iter().find_map(|keyword| schema.get(*keyword)?.as_str()) else {
            return false;
        };
        match self.references.name(reference) {
            Some(name) => {
                rewritten.insert("$ref".to_owned(), format!("#/{DEFINITIONS}/{name}").into());
            }
            None => self.is_lossy = true,
        }
        true
    }

    /// The CLI refuses a pattern that matches a name in `properties`. Without the patterns, `additionalProperties` would
    /// refuse what they allow.
    fn keeps_patterns(schema: &Map<String, Value>) -> bool {
        let Some(patterns) = schema.get("patternProperties").and_then(Value::as_object) else { return true };
        let properties = schema.get("properties").and_then(Value::as_object);
        patterns.keys().all(|text| {
            let names = || properties.into_iter().flat_map(Map::keys);
            pattern(text).is_some_and(|pattern| names().all(|name| pattern.find(name).is_none()))
        })
    }

    /// Lists of schemas for the first items have another keyword in each draft, and the CLI knows one that the model API refuses:
    /// each item may then fit any of the schemas.
    fn items(&mut self, schema: &Map<String, Value>, rewritten: &mut Map<String, Value>) {
        if rewritten.contains_key("items") {
            return;
        }
        let [items, prefix, additional] =
            ["items", "prefixItems", "additionalItems"].map(|keyword| schema.get(keyword));
        let (first, rest) = match (prefix.filter(|_| self.draft == Draft::From2020), items) {
            (Some(first), rest) => (first, rest),
            (None, Some(first @ Value::Array(_))) => (first, additional),
            (None, Some(items)) => {
                let items = self.schema(items);
                rewritten.insert("items".to_owned(), items);
                return;
            }
            (None, None) => return,
        };
        self.is_lossy = true;
        let mut any = self.schemas(first);
        match rest {
            None | Some(Value::Bool(true)) => return,
            Some(Value::Bool(false)) => {
                rewritten.insert("maxItems".to_owned(), any.len().into());
            }
            Some(rest) => any.push(self.schema(rest)),
        }
        if !any.is_empty() {
            rewritten.insert("items".to_owned(), json!({ "anyOf": any }));
        }
    }

    /// A draft-04 bound excludes its value if a boolean says so.
    fn bound(keyword: &str, schema: &Map<String, Value>, rewritten: &mut Map<String, Value>) {
        let exclusive = if keyword == "maximum" { "exclusiveMaximum" } else { "exclusiveMinimum" };
        let excludes = schema.get(exclusive) == Some(&Value::Bool(true));
        if let Some(bound) = schema.get(keyword).filter(|bound| bound.is_number()) {
            let keyword = if excludes { exclusive } else { keyword };
            rewritten.insert(keyword.to_owned(), bound.clone());
        }
    }

    /// The CLI has one keyword for both kinds of dependencies.
    fn dependencies(&mut self, schema: &Map<String, Value>, rewritten: &mut Map<String, Value>) {
        let keywords: &[&str] =
            if self.draft == Draft::Early { &["dependencies"] } else { &["dependentRequired", "dependentSchemas"] };
        let mut dependencies = Map::new();
        for keyword in keywords {
            for (name, dependency) in schema.get(*keyword).and_then(Value::as_object).into_iter().flatten() {
                let dependency = if dependency.is_array() { dependency.clone() } else { self.schema(dependency) };
                match dependencies.get_mut(name) {
                    Some(names) => *names = json!({ "required": names, "allOf": [dependency] }),
                    None => {
                        dependencies.insert(name.clone(), dependency);
                    }
                }
            }
        }
        if !dependencies.is_empty() {
            rewritten.insert("dependencies".to_owned(), dependencies.into());
        }
    }
}

/// Versions of the CLI before 2.1.332 refuse `format`, so the description names it for the model.
fn describe_format(schema: &Map<String, Value>, rewritten: &mut Map<String, Value>) {
    let Some(format) = schema.get("format").and_then(Value::as_str) else { return };
    let description = match schema.get("description").and_then(Value::as_str) {
        Some(description) => format!("{description} (format: {format})"),
        None => format!("format: {format}"),
    };
    rewritten.insert("description".to_owned(), description.into());
}

/// Adds to `allOf`, which may not be empty.
fn push_all(rewritten: &mut Map<String, Value>, schemas: Vec<Value>) {
    if schemas.is_empty() {
        return;
    }
    match rewritten.get_mut("allOf") {
        Some(Value::Array(all)) => all.extend(schemas),
        _ => {
            rewritten.insert("allOf".to_owned(), schemas.into());
        }
    }
}
