//! The ids in recorded answers, and the segments of a path that are ids.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::entry::RecordedRequest;
use crate::names::{is_prefix, singular, slug};
use crate::secrets::is_uuid;

/// The maximum number of ids of one answer, and of all. A recording of a person's work contains fewer.
const MAX_OF_ANSWER: usize = 5_000;
const MAX_IDS: usize = 20_000;
/// A longer segment is an id, unless it is made of words.
const MAX_SEGMENT: usize = 40;
/// Names in capital letters whose number is a part of the name: `UTF-8`, `ISO-8601`, `COVID-19`.
const FIXED_NAMES: [&str; 48] = [
    "AES", "ANSI", "ASCII", "BASE", "CAT", "CLAUDE", "COVID", "CP", "CVE", "DIN", "ECMA", "EN", "EUC", "FIPS", "GDPR",
    "GPT", "HTTP", "IBM", "IEC", "IEEE", "IPV", "ISO", "KOI", "LAST", "LATIN", "LEVEL", "MD", "MPEG", "NIST", "OAUTH",
    "PBKDF", "PCI", "PHASE", "PKCS", "RFC", "RSA", "SAML", "SARS", "SHA", "SOC", "SSL", "TIER", "TLS", "TOP", "UCS",
    "UTF", "VERSION", "WINDOWS",
];
/// The maximum of a version in a path: `/api/2/users`.
const MAX_VERSION: u32 = 20;

/// A value of an id field of an answer.
pub(super) struct FoundId {
    value: String,
    /// The resources that the id may belong to, in the singular: the field `teamId` says `team`, a list `members` says
    /// `member`, and so does the path of the request.
    of: Vec<String>,
}

/// Collects the values of id fields of an answer.
pub(super) fn ids_of(answer: &Value, path: &str) -> Vec<FoundId> {
    let mut found = Vec::new();
    let of_path: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(resource).collect();
    let mut open = vec![(answer, None::<&str>)];
    while let Some((value, list)) = open.pop() {
        if found.len() >= MAX_OF_ANSWER {
            break;
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, list))),
            Value::Object(fields) => {
                for (name, value) in fields {
                    let id = slug(name);
                    let of_field = ["-id", "-slug", "-key"].iter().find_map(|ending| id.strip_suffix(ending));
                    match value {
                        Value::String(text) if ["id", "slug"].contains(&id.as_str()) || of_field.is_some() => {
                            let of = match of_field {
                                Some(name) => vec![singular(name)],
                                None => list.map(resource).into_iter().chain(of_path.last().cloned()).collect(),
                            };
                            found.push(FoundId { value: text.clone(), of });
                        }
                        value => open.push((value, Some(name.as_str()))),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}

fn resource(name: &str) -> String {
    singular(&slug(name))
}

/// The ids of all answers, and the segments that are versions.
pub(super) struct Ids {
    reported: BTreeMap<String, BTreeSet<String>>,
    /// For each origin: all paths start with this number.
    versions: BTreeMap<String, String>,
    /// The names whose number varies in one place: in `/people/usr_1` and `/people/usr_2`, `usr` after `people`.
    numbered: BTreeSet<(String, String)>,
}

impl Ids {
    pub(super) fn of(entries: &[&RecordedRequest]) -> Self {
        let mut reported: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for id in entries.iter().flat_map(|entry| &entry.ids).take(MAX_IDS) {
            reported.entry(id.value.clone()).or_default().extend(id.of.iter().cloned());
        }
        let mut starts: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for entry in entries {
            let first = entry.url.path().split('/').nth(1).unwrap_or_default();
            starts.entry(entry.origin()).or_default().insert(first);
        }
        let versions = starts.into_iter().filter_map(|(origin, starts)| {
            let only = starts.first().filter(|_| starts.len() == 1)?;
            only.parse::<u32>().is_ok_and(|number| number <= MAX_VERSION).then(|| (origin, (*only).to_owned()))
        });
        Ids { versions: versions.collect(), numbered: varying(entries), reported }
    }

    /// True if the first segment of all paths of this origin is this number.
    pub(super) fn is_version(&self, origin: &str, segment: &str) -> bool {
        self.versions.get(origin).is_some_and(|version| version == segment)
    }

    /// True if a segment is an id. `before` is the segment before it.
    pub(super) fn is_id(&self, text: &str, before: Option<&str>) -> bool {
        if text.is_empty() {
            return false;
        }
        // `/rest/api/2/issue`
        let after_prefix = matches!(before, Some("api" | "rest" | "odata" | "version"));
        if text.parse::<u32>().is_ok_and(|number| number <= MAX_VERSION) && after_prefix {
            return false;
        }
        if before.is_none() && is_date(text) || is_of_series(text) {
            return false;
        }
        // `/errors/404`
        if matches!(before, Some("error" | "errors" | "status")) && text.len() == 3 && text.starts_with(['4', '5']) {
            return false;
        }
        is_by_shape(text) || self.is_numbered(text, before) || self.is_reported(text, before)
    }

    /// True for `PROJ-17`, and for `user_12` if its number varies or the segment before it is `users`. A single `top_10` is
    /// the name of a page.
    fn is_numbered(&self, text: &str, before: Option<&str>) -> bool {
        let Some((name, _)) = numbered(text) else { return false };
        if !text.contains('_') {
            return !FIXED_NAMES.contains(&name);
        }
        before.is_some_and(|before| resource(before) == name.to_ascii_lowercase())
            || self.numbered.contains(&(place_after(before), name.to_owned()))
    }

    /// True if an answer has this value as an id. A word like `settings` may also be the name of a page or a command, so
    /// it has to be an id of what the segment before it names.
    fn is_reported(&self, text: &str, before: Option<&str>) -> bool {
        let Some(of) = self.reported.get(text) else { return false };
        let Some(before) = before.filter(|before| !is_prefix(before)) else { return false };
        let is_word = text.chars().all(|c| c.is_lowercase() || c == '-' || !c.is_ascii());
        !is_word || of.contains(&resource(before))
    }
}

/// The name and the number of `PROJ-17` and `user_12`.
fn numbered(text: &str) -> Option<(&str, &str)> {
    let (name, number) = text.rsplit_once(['-', '_'])?;
    let is_code = name.bytes().all(|byte| byte.is_ascii_uppercase()) || text.contains('_');
    let is_short = (1..=8).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_code && is_short && is_number).then_some((name, number))
}

/// The names that have two numbers or more in one place.
fn varying(entries: &[&RecordedRequest]) -> BTreeSet<(String, String)> {
    let mut numbers: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for entry in entries {
        let mut before: Option<String> = None;
        for segment in entry.url.path().trim_start_matches('/').split('/') {
            let text = percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
            // `/people/usr_1.json` and `/people/usr_1:block`
            let stem = text.split(['.', ':']).next().unwrap_or_default();
            if let Some((name, number)) = numbered(stem) {
                let place = (place_after(before.as_deref()), name.to_owned());
                numbers.entry(place).or_default().insert(number.to_owned());
            }
            before = Some(text);
        }
    }
    numbers.into_iter().filter(|(_, numbers)| numbers.len() > 1).map(|(place, _)| place).collect()
}

/// A place in paths: the segment before it. Segments with a number are alike, because they may be ids.
fn place_after(before: Option<&str>) -> String {
    let before = before.unwrap_or_default();
    if before.bytes().any(|byte| byte.is_ascii_digit()) { "*".to_owned() } else { before.to_owned() }
}

/// True for a date, which is a version at the beginning of a path: `/2015-03-31/functions`.
fn is_date(text: &str) -> bool {
    let lengths = text.split('-').map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then_some(part.len()));
    lengths.eq([4, 2, 2].map(Some))
}

/// True for a numbered part of an application, such as `step_1`.
fn is_of_series(text: &str) -> bool {
    const PARTS: [&str; 9] = ["chapter", "layer", "level", "page", "part", "phase", "stage", "step", "tab"];
    text.rsplit_once(['-', '_']).is_some_and(|(name, number)| {
        PARTS.contains(&name.to_ascii_lowercase().as_str())
            && number.len() <= 2
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// True if a segment is an id by its form.
fn is_by_shape(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_number = digits > 0 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let hexadecimal = text.len() >= 8 && digits > 1 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_address = text.find('@').is_some_and(|at| at > 0);
    let is_odd = text.contains(' ') || text.chars().any(char::is_control);
    is_number || hexadecimal || is_address || is_odd || is_uuid(text) || is_token(text)
}

/// True if a part of the segment is no word, such as `cus_9s6XKzkNRiz8i3` and `dQw4w9WgXcQ`, but not
/// `oauth2-client-credentials`.
fn is_token(text: &str) -> bool {
    let mut chunks = text.split(['-', '_', '.', '~', ':', '=']);
    let is_long = text.len() > MAX_SEGMENT && !text.contains(['-', '_', '.']);
    is_long || chunks.any(is_random)
}

/// True for a chunk in which digits and letters take turns, more often than in names like `oauth2callback`.
fn is_random(chunk: &str) -> bool {
    let kinds: Vec<u8> = chunk
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' => 0,
            b'a'..=b'z' => 1,
            b'A'..=b'Z' => 2,
            _ => 3,
        })
        .collect();
    let is_digit = |kind: &u8| *kind == 0;
    let turns = kinds.windows(2).filter(|pair| is_digit(&pair[0]) != is_digit(&pair[1])).count();
    // A name has one number at most: `OAuth2Callback`, `x509Certificates`.
    let numbers = kinds.split(|kind| !is_digit(kind)).filter(|number| !number.is_empty()).count();
    let is_mixed = kinds.contains(&1) && kinds.contains(&2);
    let digits = kinds.iter().filter(|kind| is_digit(kind)).count();
    let is_code = numbers > 1 && (is_mixed || turns > 2);
    chunk.len() >= 8 && (is_code || (digits >= 6 && turns > 0))
}
