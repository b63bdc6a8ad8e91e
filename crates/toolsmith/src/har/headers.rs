//! The headers of an operation.

use std::collections::{BTreeMap, BTreeSet};

use super::group::Request;
use super::rpc::SELECTORS;
use crate::builder::Builder;
use crate::model::{Place, Secret, SecretPlace};
use crate::names::variable;
use crate::secrets::{is_secret_header, looks_secret, sounds_secret};

/// Headers that browsers and curl add themselves.
const OF_BROWSERS: [&str; 37] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "alt-used",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "device-memory",
    "dnt",
    "downlink",
    "dpr",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "rtt",
    "save-data",
    "te",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "viewport-width",
    "ect",
];
/// The maximum length of a constant header. Versions and flags are short.
const MAX_CONSTANT: usize = 60;
/// The maximum length of a media type in `Accept`.
const MAX_ACCEPT: usize = 120;

/// Adds the headers that all requests of an operation have in common, and its secrets.
pub(super) fn add(builder: &mut Builder<'_>, requests: &[Request<'_>]) {
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in requests.iter().flat_map(|request| &request.entry.headers) {
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if is_name && !name.is_empty() {
            seen.entry(name).or_default().insert(value.trim());
        }
    }
    let authorized = seen.contains_key("authorization");
    for (name, values) in seen {
        if name == "accept" {
            add_accept(builder, &values);
            continue;
        }
        // These are the page's own cookies; the API uses `Authorization`.
        let is_page_cookie = name == "cookie" && authorized;
        if name.starts_with("sec-") || OF_BROWSERS.contains(&name) || is_page_cookie {
            continue;
        }
        if let (true, Some(value)) = (SELECTORS.contains(&name), values.first()) {
            builder.made.constants.insert(name.to_owned(), (*value).to_owned());
            continue;
        }
        let is_short =
            |value: &&str| value.bytes().all(|byte| byte.is_ascii_digit()) || matches!(*value, "true" | "false");
        let is_harmless = values.iter().all(is_short);
        let is_secret = is_secret_header(name) || (sounds_secret(name) && !is_harmless);
        let is_plain_name = !is_secret_header(name) && name.ends_with("-key");
        if (is_secret && !is_plain_name) || values.iter().any(|value| looks_secret(value) && !is_plain_name) {
            add_secret(builder, name, &values);
            continue;
        }
        // A header that varies belongs to the browser. A long one could identify a person, so it is not repeated
        // either. Neither is a key against repetition: an equal one would make the server ignore the request.
        if let (1, Some(value), false) =
            (values.len(), values.first().filter(|value| is_constant(value)), is_plain_name)
        {
            builder.made.constants.insert(name.to_owned(), (*value).to_owned());
        }
    }
}

fn is_constant(value: &str) -> bool {
    !value.is_empty() && value.len() <= MAX_CONSTANT && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Keeps `Accept` if the server may answer with another type without it.
fn add_accept(builder: &mut Builder<'_>, values: &BTreeSet<&str>) {
    let (1, Some(value)) = (values.len(), values.first()) else { return };
    let is_particular =
        value.contains("vnd.") || !["*/*", "json", "text/html", "event-stream"].iter().any(|part| value.contains(part));
    let is_plain =
        value.contains('/') && value.len() <= MAX_ACCEPT && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_particular && is_plain {
        builder.made.constants.insert("accept".to_owned(), (*value).to_owned());
    }
}

fn add_secret(builder: &mut Builder<'_>, name: &str, values: &BTreeSet<&str>) {
    let begins = |scheme: &str| values.iter().all(|value| value.to_ascii_lowercase().starts_with(scheme));
    let prefix = &builder.api.prefix;
    let (before, variable) = match name {
        "authorization" if begins("bearer ") => ("Bearer ", variable(prefix, "TOKEN")),
        "authorization" if begins("basic ") => ("Basic ", variable(prefix, "BASIC_AUTH")),
        "authorization" if begins("token ") => ("Token ", variable(prefix, "TOKEN")),
        name => {
            builder.secret(name, Place::Header, true);
            return;
        }
    };
    builder.credential(Secret {
        place: SecretPlace::Header { name: name.to_owned(), before },
        variable,
        required: true,
    });
}
