//! The addresses of operations.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use url::Url;

use crate::har::{Chosen, api, name_of};
use crate::model::TargetApi;
use crate::names::slug;

/// The APIs of a document: one for each address.
pub(super) struct TargetApis<'a> {
    document: &'a Value,
    /// The name of the API at the document's own address.
    name: String,
    made: BTreeMap<String, TargetApi>,
    taken: BTreeSet<String>,
}

impl<'a> TargetApis<'a> {
    pub(super) fn new(document: &'a Value, chosen: &Chosen) -> Self {
        let address = address(&document["servers"]).unwrap_or_default();
        let title = || {
            document.pointer("/info/title").and_then(Value::as_str).filter(|title| !title.trim().is_empty()).map(short)
        };
        let name = chosen.name.clone().or_else(|| name_of(&address)).or_else(title).unwrap_or_else(|| "api".to_owned());
        let mut apis = TargetApis { document, name, made: BTreeMap::new(), taken: BTreeSet::new() };
        // The first API has the plain name.
        apis.at(address);
        apis
    }

    /// The API of an operation. The servers of the operation come before those of its path and of the document.
    pub(super) fn of(&mut self, item: &Value, operation: &Value) -> TargetApi {
        let lists = [&operation["servers"], &item["servers"], &self.document["servers"]];
        let found = lists.into_iter().find_map(address).unwrap_or_default();
        self.at(found)
    }

    fn at(&mut self, address: String) -> TargetApi {
        if let Some(api) = self.made.get(&address) {
            return api.clone();
        }
        let name =
            if self.made.is_empty() { self.name.clone() } else { format!("{} {}", self.name, self.mark(&address)) };
        let api = api(&name, address.clone(), &mut self.taken);
        self.made.insert(address, api.clone());
        api
    }

    /// A word that distinguishes an address from the document's own: the first label of its host, or the end of its path.
    fn mark(&self, wanted: &str) -> String {
        let own = address(&self.document["servers"]).and_then(|own| Url::parse(&own).ok());
        let Ok(wanted) = Url::parse(wanted) else { return slug(wanted) };
        let host = |url: &Url| url.host_str().map(str::to_owned);
        let path = wanted.path().trim_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        let label = host(&wanted).and_then(|host| host.split('.').next().map(str::to_owned)).unwrap_or_default();
        if own.is_some_and(|own| host(&own) == host(&wanted)) && !path.is_empty() { path } else { label }
    }
}

/// The first address of a list, with the defaults of its variables. An absolute address comes before a relative one.
fn address(servers: &Value) -> Option<String> {
    let list = servers.as_array()?;
    let addresses: Vec<String> = list.iter().filter_map(expanded).collect();
    let is_absolute = |address: &&String| address.contains("://");
    addresses.iter().find(is_absolute).or_else(|| addresses.first()).cloned()
}

fn expanded(server: &Value) -> Option<String> {
    let mut address = server["url"].as_str()?.trim().to_owned();
    for (name, variable) in server["variables"].as_object().into_iter().flatten() {
        let value = match &variable["default"] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let first = || variable.pointer("/enum/0").and_then(Value::as_str).map(str::to_owned);
        if let Some(value) = value.filter(|value| !value.is_empty()).or_else(first) {
            address = address.replace(&format!("{{{name}}}"), &value);
        }
    }
    Some(address.trim_end_matches('/').to_owned())
}

/// Derives `acme` from `Acme API`.
fn short(title: &str) -> String {
    let slug = slug(title);
    slug.strip_suffix("-api").unwrap_or(&slug).to_owned()
}
