//! HAR files, the recordings of browsers and proxies: selects the requests to an API and finds their common structure.
//!
//! | module | contains |
//! |---|---|
//! | `file` | the file, also if it is damaged |
//! | `entry`, `body` | one request |
//! | `kind`, `site` | the requests that are no calls of the product's API |
//! | `ids`, `path` | the ids in paths |
//! | `rpc`, `graphql` | calls that share one URL |
//! | `group`, `headers` | operations from requests |

mod body;
mod entry;
mod file;
mod graphql;
mod group;
mod headers;
mod ids;
mod kind;
mod path;
mod rpc;
mod site;

use std::collections::{BTreeMap, BTreeSet};

use self::entry::RecordedRequest;
use self::file::RecordingFile;
use self::group::Request;
use self::ids::Ids;
use self::kind::Filter;
use self::rpc::Calls;
pub(super) use self::site::name_of;
use super::InputError;
use super::left_out::LeftOut;
use super::model::{Collection, TargetApi};
use super::names::{self, slug};

/// The maximum number of requests that are read. A full day of browsing has fewer.
const MAX_ENTRIES: usize = 50_000;
/// The number of sites among which the product's is looked for.
const MAX_SITES: usize = 20;
/// The number of hosts that an error names.
const MAX_HOSTS: usize = 20;

/// The user's choices for a recording.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// Hosts, each with or without a port. An empty list selects the hosts of the page's site.
    pub hosts: Vec<String>,
    /// The prefix of the tools' names. `None` uses the host's name.
    pub name: Option<String>,
}

/// Builds the tools for the requests of a recording. Fails if the file is not a HAR, or if no request is usable.
pub fn from_har(bytes: &[u8], chosen: &Chosen) -> Result<Collection, InputError> {
    let file = RecordingFile::read(bytes)?;
    let recording = file.recording()?;
    let mut odd = Vec::new();
    let mut entries: Vec<RecordedRequest> = Vec::new();
    for (number, raw) in recording.entries.iter().take(MAX_ENTRIES).enumerate() {
        match RecordedRequest::parse(number, raw) {
            Ok(entry) => entries.push(entry),
            Err(entry) => odd.push(entry),
        }
    }
    let total = recording.entries.len();
    let mut notes = Vec::new();
    if file.is_cut {
        notes.push(CUT.to_owned());
    }
    if total > MAX_ENTRIES {
        notes.push(format!(
            "The recording has {total} requests, and only the first {MAX_ENTRIES} were read. If a call is missing, record it in a \
             file of its own: clear the recorder, and do only the steps that the agent needs."
        ));
    }

    let sites: Vec<Option<String>> = match site::candidates(&recording.pages, &entries) {
        sites if sites.is_empty() || !chosen.hosts.is_empty() => vec![sites.into_iter().next()],
        sites => sites.into_iter().take(MAX_SITES).map(Some).collect(),
    };
    let without_responses = entries.iter().all(|entry| entry.status <= 0 && !entry.is_blocked);
    let mut first: Option<LeftOut> = None;
    let mut found = None;
    for site in &sites {
        let filter = Filter { chosen, site: site.as_deref(), without_responses };
        let (kept, left_out) = selected(&entries, &filter);
        if !kept.is_empty() {
            found = Some((kept, left_out));
            break;
        }
        first.get_or_insert(left_out);
    }
    let Some((kept, mut left_out)) = found else {
        let mut left_out = first.unwrap_or_default();
        left_out.add_all(odd);
        return Err(InputError::Nothing(nothing(&entries, total.min(MAX_ENTRIES), &left_out)));
    };
    left_out.add_all(odd);

    let used: Vec<&RecordedRequest> = kept.iter().map(|request| request.entry).collect();
    let ids = Ids::of(&used);
    let apis = apis(&used, chosen);
    let tools = group::tools(&kept, &ids, &apis);
    if tools.iter().flat_map(|tool| &tool.operations).all(|operation| operation.secrets.is_empty()) {
        notes.push(if recording.creator == "WebInspector" { SANITISED } else { WITHOUT_CREDENTIALS }.to_owned());
    }
    Ok(Collection { tools, left_out, notes })
}

const CUT: &str = "The file ends in the middle of a request. That request and all that may have followed are missing.";

/// Chrome's name for itself is `WebInspector`.
const SANITISED: &str = "No request has a credential: no Authorization header, no cookie, no key. Chrome removes them from a \
                         sanitised recording. If the API needs them, allow sensitive data in the settings of the developer \
                         tools (Network), record again, and choose *Export HAR (with sensitive data)*.";
const WITHOUT_CREDENTIALS: &str = "No request has a credential: no Authorization header, no cookie, no key. If the API needs \
                                   one, the recorder removed it: record again without a filter for sensitive data.";

/// The requests that become part of a tool.
fn selected<'a>(entries: &'a [RecordedRequest], filter: &Filter<'_>) -> (Vec<Request<'a>>, LeftOut) {
    let mut left_out = LeftOut::default();
    let mut kept = Vec::new();
    for entry in entries {
        if let Some(reason) = filter.reason_against(entry) {
            left_out.add(reason);
            continue;
        }
        match rpc::calls(entry) {
            Calls::Plain => kept.push(Request { entry, call: None }),
            Calls::Named(calls) => kept.extend(calls.into_iter().map(|call| Request { entry, call: Some(call) })),
            Calls::Unusable(reason) => left_out.add(reason),
        }
    }
    (kept, left_out)
}

/// Explains why no request is usable.
fn nothing(entries: &[RecordedRequest], total: usize, left_out: &LeftOut) -> String {
    let hosts: BTreeSet<String> = entries.iter().map(RecordedRequest::host).filter(|host| !host.is_empty()).collect();
    let hosts = hosts.into_iter().take(MAX_HOSTS).collect::<Vec<_>>().join(", ");
    let reasons: Vec<String> = left_out
        .iter()
        .map(|(reason, omitted)| format!("{} {reason} {}", omitted.count, omitted.shown()).trim_end().to_owned())
        .collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" Left out were: {}.", reasons.join("; ")) };
    format!(
        "none of {total} requests is a repeatable call of an API; select hosts with --host. The hosts are: {hosts}.{reasons}"
    )
}

/// Gives each origin an API with a unique name.
fn apis(kept: &[&RecordedRequest], chosen: &Chosen) -> BTreeMap<String, TargetApi> {
    let origins: BTreeSet<String> = kept.iter().map(|entry| entry.origin()).collect();
    let mut taken = BTreeSet::new();
    origins
        .into_iter()
        .map(|origin| {
            let own = || name_of(&origin).unwrap_or_else(|| "api".to_owned());
            let name = chosen.name.as_deref().map_or_else(|| slug(&own()), slug);
            let api = api(&name, origin.clone(), &mut taken);
            (origin, api)
        })
        .collect()
}

pub(super) fn api(name: &str, address: String, taken: &mut BTreeSet<String>) -> TargetApi {
    let name = names::unique(&slug(name), taken);
    let prefix = names::shouted(&name);
    let prefix =
        if prefix.starts_with(|first: char| first.is_ascii_digit()) { format!("API_{prefix}") } else { prefix };
    TargetApi { name, prefix, address }
}
