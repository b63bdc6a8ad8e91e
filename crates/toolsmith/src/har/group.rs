//! Groups requests: requests that differ only in values become one operation, and the operations of one resource become
//! one tool.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::body::Sent;
use super::entry::RecordedRequest;
use super::path::pieces;
use crate::model::{BodyKind, Input, Operation, Piece, Place, Secret, SecretPlace, Service, Tool};
use crate::names::{self, is_sayable, slug, unique, variable};
use crate::secrets::{is_secret, is_secret_header};

/// Headers that browsers and curl add themselves.
const OF_BROWSERS: [&str; 27] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "dnt",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "save-data",
    "te",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
];
/// The maximum length of a constant header. Versions and flags are short.
const MAX_CONSTANT: usize = 60;

type Key = (Vec<Piece>, String);

pub(super) fn tools(
    entries: &[&RecordedRequest],
    ids: &BTreeSet<String>,
    services: &BTreeMap<String, Service>,
) -> Vec<Tool> {
    let mut tools: BTreeMap<(&Service, String), BTreeMap<Key, Vec<&RecordedRequest>>> = BTreeMap::new();
    for entry in entries {
        let Some(service) = services.get(&entry.origin()) else { continue };
        let path = pieces(&entry.url, ids);
        let tool = tools.entry((service, names::resource(&path))).or_default();
        tool.entry((path, entry.method.clone())).or_default().push(entry);
    }
    tools
        .into_iter()
        .map(|((service, resource), requests)| {
            let mut taken = BTreeSet::from(["help".to_owned()]);
            let operations = requests
                .into_iter()
                .map(|((path, method), entries)| operation(service, path, method, &entries, &mut taken))
                .collect();
            let name = format!("{}-{resource}", service.name);
            Tool { name, resource, service: service.clone(), operations }
        })
        .collect()
}

fn operation(
    service: &Service,
    path: Vec<Piece>,
    method: String,
    entries: &[&RecordedRequest],
    taken: &mut BTreeSet<String>,
) -> Operation {
    let name = unique(&names::operation(&method, &path), taken);
    let mut made = Operation {
        name,
        method,
        path,
        summary: None,
        inputs: Vec::new(),
        body: BodyKind::None,
        constants: BTreeMap::new(),
        secrets: Vec::new(),
    };
    let mut options = Options { service, taken: BTreeSet::new(), made: &mut made };

    options.fields(of_queries(entries), Place::Query);
    let forms: Vec<(String, Value)> = entries.iter().flat_map(|entry| of_form(&entry.sent)).collect();
    let objects: Vec<(String, Value)> = entries.iter().flat_map(|entry| of_object(&entry.sent)).collect();
    if entries.iter().any(|entry| matches!(entry.sent, Sent::Form(_))) {
        options.made.body = BodyKind::Form;
        options.fields(forms, Place::Form);
    } else if entries.iter().any(|entry| matches!(entry.sent, Sent::Object(_))) {
        options.made.body = BodyKind::Json;
        options.fields(objects, Place::Text);
    } else if entries.iter().any(|entry| matches!(entry.sent, Sent::Json)) {
        options.made.body = BodyKind::Json;
        options.whole_body();
    }
    options.headers(entries);
    made
}

fn of_queries(entries: &[&RecordedRequest]) -> Vec<(String, Value)> {
    let pairs = entries.iter().flat_map(|entry| entry.url.query_pairs());
    pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect()
}

fn of_form(sent: &Sent) -> Vec<(String, Value)> {
    match sent {
        Sent::Form(pairs) => pairs.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect(),
        Sent::Nothing | Sent::Object(_) | Sent::Json | Sent::Other => Vec::new(),
    }
}

fn of_object(sent: &Sent) -> Vec<(String, Value)> {
    match sent {
        Sent::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        Sent::Nothing | Sent::Form(_) | Sent::Json | Sent::Other => Vec::new(),
    }
}

struct Options<'a> {
    service: &'a Service,
    taken: BTreeSet<String>,
    made: &'a mut Operation,
}

impl Options<'_> {
    /// Adds options for the fields. `place` is the place of string fields.
    fn fields(&mut self, fields: Vec<(String, Value)>, place: Place) {
        let mut seen: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (name, value) in fields.into_iter().filter(|(name, _)| is_sayable(name)) {
            seen.entry(name).or_default().push(value);
        }
        for (name, values) in seen {
            let is_text = values.iter().any(Value::is_string);
            if values.iter().filter_map(Value::as_str).any(|value| is_secret(&name, value)) {
                let place = match place {
                    Place::Form => SecretPlace::Form(name.clone()),
                    Place::Text | Place::Json | Place::Whole => SecretPlace::Json(name.clone()),
                    Place::Query | Place::Header => SecretPlace::Query(name.clone()),
                };
                self.secret(place, variable(&self.service.prefix, &name));
                continue;
            }
            let place = if place == Place::Text && !is_text { Place::Json } else { place };
            let option = unique(&slug(&name), &mut self.taken);
            self.made.inputs.push(Input { name, option, place, required: false, about: None });
        }
    }

    fn whole_body(&mut self) {
        let option = unique("body", &mut self.taken);
        let about = Some("the whole body".to_owned());
        self.made.inputs.push(Input { name: "body".to_owned(), option, place: Place::Whole, required: true, about });
    }

    fn headers(&mut self, entries: &[&RecordedRequest]) {
        let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, value) in entries.iter().flat_map(|entry| &entry.headers) {
            let ours = name.starts_with(':') || name.starts_with("sec-") || OF_BROWSERS.contains(&name.as_str());
            let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            if !ours && is_name && !name.is_empty() {
                seen.entry(name).or_default().insert(value);
            }
        }
        let authorized = seen.contains_key("authorization");
        for (name, values) in seen {
            // These are the page's own cookies; the API uses `Authorization`.
            if name == "cookie" && authorized {
                continue;
            }
            if values.iter().any(|value| is_secret_header(name, value)) {
                let (before, variable) = self.header_secret(name, &values);
                self.secret(SecretPlace::Header { name: name.to_owned(), before }, variable);
                continue;
            }
            // A header that varies belongs to the browser. A long one could identify a person, so it is not repeated
            // either.
            let plain = |value: &str| value.len() <= MAX_CONSTANT && value.bytes().all(|b| (b' '..=b'~').contains(&b));
            if let (1, Some(value)) = (values.len(), values.first().filter(|value| plain(value))) {
                self.made.constants.insert(name.to_owned(), (*value).to_owned());
            }
        }
    }

    fn header_secret(&self, name: &str, values: &BTreeSet<&str>) -> (&'static str, String) {
        let begins = |scheme: &str| values.iter().all(|value| value.to_ascii_lowercase().starts_with(scheme));
        let prefix = &self.service.prefix;
        match name {
            "authorization" if begins("bearer ") => ("Bearer ", variable(prefix, "TOKEN")),
            "authorization" if begins("basic ") => ("Basic ", variable(prefix, "BASIC_AUTH")),
            name => ("", variable(prefix, name)),
        }
    }

    fn secret(&mut self, place: SecretPlace, variable: String) {
        self.made.secrets.push(Secret { place, variable });
    }
}
