//! A HAR, as browsers record it: which of its requests are the API's, and what is the same in them.

mod body;
mod entry;
mod group;
mod path;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use url::Url;

use self::entry::Entry;
use super::InputError;
use super::model::{Collection, LeftOut, Service};
use super::names::{self, slug};

/// A browser's whole day has fewer.
const MAX_ENTRIES: usize = 50_000;

/// What the user says about a recording.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// Hosts, each with or without a port. Those of the page's site where none is named.
    pub hosts: Vec<String>,
    /// What the tools' names begin with, instead of the host's name.
    pub name: Option<String>,
}

/// The tools for the requests of a recording.
pub fn from_har(text: &str, chosen: &Chosen) -> Result<Collection, InputError> {
    let har: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(InputError::NotJson)?;
    let list = har.pointer("/log/entries").and_then(Value::as_array);
    let list = list.ok_or_else(|| InputError::at("log.entries", "it must be a list: this is no HAR"))?;
    if list.len() > MAX_ENTRIES {
        return Err(InputError::at("log.entries", format!("there are more than {MAX_ENTRIES}")));
    }
    let entries: Vec<Entry> =
        list.iter().enumerate().map(|(number, entry)| Entry::parse(number, entry)).collect::<Result<_, _>>()?;
    let site = site(&har, &entries);

    let mut left_out = LeftOut::new();
    let mut leave = |reason: String| *left_out.entry(reason).or_default() += 1;
    let mut kept = Vec::new();
    for entry in &entries {
        match reason_against(entry, chosen, site.as_deref()) {
            Some(reason) => leave(reason),
            None => kept.push(entry),
        }
    }
    if kept.is_empty() {
        let hosts: BTreeSet<String> = entries.iter().map(Entry::host).collect();
        let hosts = hosts.into_iter().take(20).collect::<Vec<_>>().join(", ");
        return Err(InputError::Nothing(format!(
            "of {} requests none is an API's that could be called again; choose with --host of: {hosts}",
            entries.len()
        )));
    }
    let ids = path::ids_in_answers(&kept);
    let services = services(&kept, chosen);
    let tools = group::tools(&kept, &ids, &services);
    Ok(Collection { tools, left_out })
}

/// Why a request is none for a tool.
fn reason_against(entry: &Entry, chosen: &Chosen, site: Option<&str>) -> Option<String> {
    let host = entry.host();
    if !entry.is_web() {
        return Some("not http".to_owned());
    }
    if entry.is_analytics_by_path() {
        return Some("analytics".to_owned());
    }
    if chosen.hosts.is_empty() {
        if entry.is_analytics_by_host() {
            return Some("analytics".to_owned());
        }
        if site.is_some_and(|site| site != site_of(&entry.url)) {
            return Some(format!("another site: {host}"));
        }
    } else if !chosen.hosts.iter().any(|wanted| *wanted == host || entry.url.host_str() == Some(wanted)) {
        return Some(format!("another host: {host}"));
    }
    if entry.is_preflight() {
        Some("asked by the browser itself".to_owned())
    } else if entry.is_static() {
        Some("pages and static files".to_owned())
    } else if entry.failed() {
        Some("refused or failed".to_owned())
    } else if entry.has_upload() {
        Some("uploads".to_owned())
    } else {
        None
    }
}

/// The site of the page that was recorded.
fn site(har: &Value, entries: &[Entry]) -> Option<String> {
    let title = har.pointer("/log/pages/0/title").and_then(Value::as_str).and_then(|title| Url::parse(title).ok());
    let title = title.filter(|url| url.host_str().is_some());
    let document = || entries.iter().find(|entry| entry.is_document()).map(|entry| entry.url.clone());
    let origin = || entries.iter().find_map(Entry::page);
    title.or_else(document).or_else(origin).map(|url| site_of(&url))
}

/// The last two labels of a name, or an address as it is.
fn site_of(url: &Url) -> String {
    match (url.domain(), url.host_str()) {
        (Some(name), _) => {
            let labels: Vec<&str> = name.rsplit('.').take(2).collect();
            labels.into_iter().rev().collect::<Vec<_>>().join(".")
        }
        (None, address) => address.unwrap_or_default().to_owned(),
    }
}

/// Each address with a name of its own.
fn services(kept: &[&Entry], chosen: &Chosen) -> BTreeMap<String, Service> {
    let origins: BTreeSet<String> = kept.iter().map(|entry| entry.origin()).collect();
    let mut taken = BTreeSet::new();
    origins
        .into_iter()
        .map(|origin| {
            let name = chosen.name.as_deref().map_or_else(|| name_of(&origin), slug);
            let service = service(&name, origin.clone(), &mut taken);
            (origin, service)
        })
        .collect()
}

pub(super) fn service(name: &str, address: String, taken: &mut BTreeSet<String>) -> Service {
    let name = names::unique(&slug(name), taken);
    let prefix = names::shouted(&name);
    let prefix =
        if prefix.starts_with(|first: char| first.is_ascii_digit()) { format!("API_{prefix}") } else { prefix };
    Service { name, prefix, address }
}

/// `acme` of `https://api.acme.test`
pub(super) fn name_of(address: &str) -> String {
    match Url::parse(address).ok().and_then(|url| url.domain().map(str::to_owned)) {
        Some(name) if name.contains('.') => name.rsplit('.').nth(1).unwrap_or("api").to_owned(),
        Some(_) | None => "api".to_owned(),
    }
}
