//! OpenAPI documents (3.0 and 3.1, as YAML or JSON).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::har::{Chosen, name_of, service};
use super::model::{BodyKind, Collection, Input, LeftOut, Operation, Piece, Place, Secret, SecretPlace, Service, Tool};
use super::names::{self, is_sayable, slug, unique, variable};
use super::{InputError, secrets, yaml};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// The maximum length of a chain of references.
const MAX_DEPTH: usize = 16;

/// Builds the tools for the operations of a document. Fails if the text is not an OpenAPI document, or if no operation
/// is usable.
pub fn from_openapi(text: &str, chosen: &Chosen) -> Result<Collection, InputError> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    // JSON is also YAML, but the JSON parser's errors are better.
    let document: Value = if text.starts_with('{') {
        serde_json::from_str(text).map_err(InputError::NotJson)?
    } else {
        yaml::value(text).map_err(InputError::NotYaml)?
    };
    // In YAML without quotes the version is a number.
    let version = match &document["openapi"] {
        Value::String(version) => version.clone(),
        other => other.to_string(),
    };
    if !version.starts_with("3.") {
        return Err(InputError::at("openapi", "it must be 3.0 or 3.1"));
    }
    let paths = document["paths"].as_object().ok_or_else(|| InputError::at("paths", "it must be an object"))?;
    let address = document.pointer("/servers/0/url").and_then(Value::as_str).unwrap_or_default();
    let title = document.pointer("/info/title").and_then(Value::as_str).unwrap_or("api");
    let named = chosen.name.clone().unwrap_or_else(|| {
        let of_address = name_of(address);
        if of_address == "api" { short(title) } else { of_address }
    });
    let service = service(&named, address.to_owned(), &mut BTreeSet::new());
    let source = Source { document: &document, service: &service };

    let mut left_out = LeftOut::new();
    let mut groups: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    let mut taken: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, item) in paths {
        let place = format!("paths[{path:?}]");
        let item = source.resolved(item, &place)?;
        let pieces = pieces(path, &place)?;
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let place = format!("{place}.{method}");
            let resource = names::resource(&pieces);
            let taken = taken.entry(resource.clone()).or_insert_with(|| BTreeSet::from(["help".to_owned()]));
            match source.operation(method, pieces.clone(), item, operation, &place, taken)? {
                Some(operation) => groups.entry(resource).or_default().push(operation),
                None => *left_out.entry("bodies other than JSON and forms".to_owned()).or_default() += 1,
            }
        }
    }
    if groups.is_empty() {
        return Err(InputError::Nothing("paths: it contains no operation that a tool can call".to_owned()));
    }
    let tools = groups.into_iter().map(|(resource, operations)| {
        let name = format!("{}-{resource}", service.name);
        Tool { name, resource, service: service.clone(), operations }
    });
    Ok(Collection { tools: tools.collect(), left_out })
}

/// Derives `acme` from `Acme API`.
fn short(title: &str) -> String {
    let slug = slug(title);
    slug.strip_suffix("-api").unwrap_or(&slug).to_owned()
}

/// Splits `/users/{userId}/usage` into its parts.
fn pieces(path: &str, place: &str) -> Result<Vec<Piece>, InputError> {
    let wrong = |reason: &str| InputError::at(place, reason);
    if !path.starts_with('/') || path.contains(['?', '#']) || path.chars().any(char::is_control) {
        return Err(wrong("a path must start with `/` and have no query"));
    }
    let mut pieces = Vec::new();
    let mut rest = path;
    let mut taken = BTreeSet::new();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| wrong("a `{` is not closed"))?;
        if !before.is_empty() {
            pieces.push(Piece::Literal(encoded(before)));
        }
        pieces.push(Piece::Parameter(unique(&slug(name), &mut taken)));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(encoded(rest)));
    }
    Ok(pieces)
}

/// Percent-encodes the characters that a URL cannot contain.
fn encoded(text: &str) -> String {
    const ODD: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'`')
        .add(b'\\')
        .add(b'^')
        .add(b'|')
        .add(b'}');
    percent_encoding::utf8_percent_encode(text, ODD).to_string()
}

struct Source<'a> {
    document: &'a Value,
    service: &'a Service,
}

impl<'a> Source<'a> {
    /// Returns the value, or the target of its `$ref` within the document.
    fn resolved(&self, value: &'a Value, place: &str) -> Result<&'a Value, InputError> {
        let mut value = value;
        for _ in 0..MAX_DEPTH {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Ok(value) };
            let found = reference.strip_prefix('#').and_then(|pointer| self.document.pointer(pointer));
            value = found
                .ok_or_else(|| InputError::at(place, format!("$ref {reference:?} does not exist in this document")))?;
        }
        Err(InputError::at(place, "its references form a cycle"))
    }

    fn operation(
        &self,
        method: &str,
        path: Vec<Piece>,
        item: &'a Value,
        operation: &'a Value,
        place: &str,
        taken: &mut BTreeSet<String>,
    ) -> Result<Option<Operation>, InputError> {
        let id = operation["operationId"].as_str().map(slug);
        let name = unique(&id.unwrap_or_else(|| names::operation(method, &path)), taken);
        let summary = ["summary", "description"].iter().find_map(|key| operation[*key].as_str()).map(str::to_owned);
        let mut made = Operation {
            name,
            method: method.to_ascii_uppercase(),
            path,
            summary,
            inputs: Vec::new(),
            body: BodyKind::None,
            constants: BTreeMap::new(),
            secrets: self.credentials(operation),
        };
        let mut options = BTreeSet::new();
        let lists = [&item["parameters"], &operation["parameters"]];
        let mut parameters: BTreeMap<(String, String), &Value> = BTreeMap::new();
        for parameter in lists.into_iter().filter_map(Value::as_array).flatten() {
            let parameter = self.resolved(parameter, place)?;
            let part = |key: &str| parameter[key].as_str().unwrap_or_default().to_owned();
            parameters.insert((part("in"), part("name")), parameter);
        }
        for ((kind, name), parameter) in parameters.into_iter().filter(|((_, name), _)| is_sayable(name)) {
            let is_header = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            let (place, secret) = match kind.as_str() {
                "query" => (Place::Query, secrets::is_secret(&name, "")),
                "header" if is_header => (Place::Header, secrets::is_secret_header(&name, "")),
                _ => continue,
            };
            if secret {
                let secret = match place {
                    Place::Header => SecretPlace::Header { name: name.clone(), before: "" },
                    Place::Query | Place::Form | Place::Text | Place::Json | Place::Whole => {
                        SecretPlace::Query(name.clone())
                    }
                };
                add_secret(&mut made, secret, variable(&self.service.prefix, &name));
                continue;
            }
            let option = unique(&slug(&name), &mut options);
            let about = parameter["description"].as_str().map(str::to_owned);
            let required = parameter["required"] == true;
            made.inputs.push(Input { name, option, place, required, about });
        }
        let body = self.body(operation, place, &mut made, &mut options)?;
        Ok(body.then_some(made))
    }

    /// Adds the options for the body. Returns false if options cannot express the body.
    fn body(
        &self,
        operation: &'a Value,
        place: &str,
        made: &mut Operation,
        options: &mut BTreeSet<String>,
    ) -> Result<bool, InputError> {
        let Some(body) = operation.get("requestBody") else { return Ok(true) };
        let body = self.resolved(body, place)?;
        let Some(content) = body["content"].as_object() else { return Ok(true) };
        let of = |part: &str| {
            content.iter().find(|(name, _)| name.to_ascii_lowercase().contains(part)).map(|(_, media)| media)
        };
        let (media, kind) = match (of("json"), of("x-www-form-urlencoded")) {
            (Some(media), _) => (media, BodyKind::Json),
            (None, Some(media)) => (media, BodyKind::Form),
            (None, None) => return Ok(body["required"] != true),
        };
        made.body = kind;
        let mut fields = BTreeMap::new();
        let mut required = BTreeSet::new();
        self.properties(&media["schema"], place, 0, &mut fields, &mut required)?;
        for (name, schema) in fields.into_iter().filter(|(name, _)| is_sayable(name)) {
            let is_text = schema["type"] == "string";
            if is_text && secrets::is_secret(&name, "") {
                let secret = if kind == BodyKind::Form {
                    SecretPlace::Form(name.clone())
                } else {
                    SecretPlace::Json(name.clone())
                };
                add_secret(made, secret, variable(&self.service.prefix, &name));
                continue;
            }
            let place = match kind {
                BodyKind::Form => Place::Form,
                BodyKind::Json | BodyKind::None if is_text => Place::Text,
                BodyKind::Json | BodyKind::None => Place::Json,
            };
            let option = unique(&slug(&name), options);
            let about = schema["description"].as_str().map(str::to_owned);
            let required = required.contains(&name);
            made.inputs.push(Input { name, option, place, required, about });
        }
        if made.inputs.iter().all(|input| matches!(input.place, Place::Query | Place::Header)) && kind == BodyKind::Json
        {
            let option = unique("body", options);
            let required = body["required"] == true;
            let about = Some("the whole body".to_owned());
            made.inputs.push(Input { name: "body".to_owned(), option, place: Place::Whole, required, about });
        }
        Ok(true)
    }

    /// Collects the fields of an object, including those of `allOf`.
    fn properties(
        &self,
        schema: &'a Value,
        place: &str,
        depth: usize,
        fields: &mut BTreeMap<String, &'a Value>,
        required: &mut BTreeSet<String>,
    ) -> Result<(), InputError> {
        if depth > MAX_DEPTH {
            return Err(InputError::at(place, "its schemas form a cycle"));
        }
        let schema = self.resolved(schema, place)?;
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            fields.insert(name.clone(), self.resolved(property, place)?);
        }
        required
            .extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.properties(part, place, depth + 1, fields, required)?;
        }
        Ok(())
    }

    /// Returns the secrets of the first security requirement. The list is empty if that requirement is empty.
    fn credentials(&self, operation: &Value) -> Vec<Secret> {
        let security = operation.get("security").unwrap_or(&self.document["security"]);
        let Some(first) = security.as_array().and_then(|ways| ways.first()).and_then(Value::as_object) else {
            return Vec::new();
        };
        let prefix = &self.service.prefix;
        let of_scheme = |name: &String| {
            let scheme = self.document.pointer("/components/securitySchemes")?.get(name)?;
            let key = scheme["name"].as_str().unwrap_or_default().to_owned();
            let header = |name: &str, before| SecretPlace::Header { name: name.to_owned(), before };
            let is_token = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            let (place, variable) = match (scheme["type"].as_str()?, scheme["in"].as_str().unwrap_or_default()) {
                ("apiKey", "query") if is_sayable(&key) => (SecretPlace::Query(key.clone()), variable(prefix, &key)),
                ("apiKey", "header") if is_token && !key.is_empty() => (header(&key, ""), variable(prefix, &key)),
                ("apiKey", "cookie") => (header("Cookie", ""), variable(prefix, "COOKIE")),
                ("http", _) if scheme["scheme"].as_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic")) => {
                    (header("Authorization", "Basic "), variable(prefix, "BASIC_AUTH"))
                }
                ("http" | "oauth2" | "openIdConnect", _) => {
                    (header("Authorization", "Bearer "), variable(prefix, "TOKEN"))
                }
                _ => return None,
            };
            Some(Secret { place, variable })
        };
        first.keys().filter_map(of_scheme).collect()
    }
}

fn add_secret(made: &mut Operation, place: SecretPlace, variable: String) {
    if !made.secrets.iter().any(|secret| secret.place == place) {
        made.secrets.push(Secret { place, variable });
    }
}
