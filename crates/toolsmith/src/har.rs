//! HAR files, the recordings of browsers: selects the requests to an API and finds their common structure.

mod body;
mod entry;
mod group;
mod path;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use url::Url;

use self::entry::RecordedRequest;
use super::InputError;
use super::model::{Collection, LeftOut, Service};
use super::names::{self, slug};

/// The maximum number of requests. A full day of browsing has fewer.
const MAX_ENTRIES: usize = 50_000;

/// The user's choices for a recording.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// Hosts, each with or without a port. An empty list selects the hosts of the page's site.
    pub hosts: Vec<String>,
    /// The prefix of the tools' names. `None` uses the host's name.
    pub name: Option<String>,
}

/// Builds the tools for the requests of a recording. Fails if the text is not a HAR, or if no request is usable.
pub fn from_har(text: &str, chosen: &Chosen) -> Result<Collection, InputError> {
    let har: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(InputError::NotJson)?;
    let list = har.pointer("/log/entries").and_then(Value::as_array);
    let list = list.ok_or_else(|| InputError::at("log.entries", "it must be a list; this is not a HAR"))?;
    if list.len() > MAX_ENTRIES {
        return Err(InputError::at("log.entries", format!("it has more than {MAX_ENTRIES} requests")));
    }
    let entries: Vec<RecordedRequest> = list
        .iter()
        .enumerate()
        .map(|(number, entry)| RecordedRequest::parse(number, entry))
        .collect::<Result<_, _>>()?;
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
        let hosts: BTreeSet<String> = entries.iter().map(RecordedRequest::host).collect();
        let hosts = hosts.into_iter().take(20).collect::<Vec<_>>().join(", ");
        return Err(InputError::Nothing(format!(
            "none of {} requests is a repeatable call of an API; select hosts with --host. The hosts are: {hosts}",
            entries.len()
        )));
    }
    let ids = path::ids_in_answers(&kept);
    let services = services(&kept, chosen);
    let tools = group::tools(&kept, &ids, &services);
    Ok(Collection { tools, left_out })
}

/// The reason why a request is left out, or `None` if it becomes part of a tool.
fn reason_against(entry: &RecordedRequest, chosen: &Chosen, site: Option<&str>) -> Option<String> {
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
        Some("sent by the browser itself".to_owned())
    } else if entry.is_static() {
        Some("pages and static files".to_owned())
    } else if entry.failed() {
        Some("failed requests".to_owned())
    } else if entry.has_upload() {
        Some("uploads".to_owned())
    } else {
        None
    }
}

/// The site of the recorded page.
fn site(har: &Value, entries: &[RecordedRequest]) -> Option<String> {
    let title = har.pointer("/log/pages/0/title").and_then(Value::as_str).and_then(|title| Url::parse(title).ok());
    let title = title.filter(|url| url.host_str().is_some());
    let document = || entries.iter().find(|entry| entry.is_document()).map(|entry| entry.url.clone());
    let origin = || entries.iter().find_map(RecordedRequest::page);
    title.or_else(document).or_else(origin).map(|url| site_of(&url))
}

/// The last two labels of a domain name, or the IP address.
fn site_of(url: &Url) -> String {
    match (url.domain(), url.host_str()) {
        (Some(name), _) => {
            let labels: Vec<&str> = name.rsplit('.').take(2).collect();
            labels.into_iter().rev().collect::<Vec<_>>().join(".")
        }
        (None, address) => address.unwrap_or_default().to_owned(),
    }
}

/// Gives each origin a service with a unique name.
fn services(kept: &[&RecordedRequest], chosen: &Chosen) -> BTreeMap<String, Service> {
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

/// Derives `acme` from `https://api.acme.test`.
pub(super) fn name_of(address: &str) -> String {
    match Url::parse(address).ok().and_then(|url| url.domain().map(str::to_owned)) {
        Some(name) if name.contains('.') => name.rsplit('.').nth(1).unwrap_or("api").to_owned(),
        Some(_) | None => "api".to_owned(),
    }
}
