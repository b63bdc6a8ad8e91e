//! The site to which a host belongs.

use std::collections::BTreeSet;

use url::Url;

use super::entry::RecordedRequest;

/// Sites that count the visitors of others.
const TRACKERS: [&str; 41] = [
    "2o7.net",
    "adnxs.com",
    "amplitude.com",
    "branch.io",
    "browser-intake-datadoghq.com",
    "browser-intake-datadoghq.eu",
    "bugsnag.com",
    "chartbeat.net",
    "clarity.ms",
    "cloudflareinsights.com",
    "criteo.com",
    "doubleclick.net",
    "facebook.net",
    "fullstory.com",
    "google-analytics.com",
    "googleadservices.com",
    "googlesyndication.com",
    "googletagmanager.com",
    "heap.io",
    "heapanalytics.com",
    "hotjar.com",
    "hotjar.io",
    "hs-analytics.net",
    "logrocket.com",
    "logrocket.io",
    "lr-ingest.io",
    "matomo.cloud",
    "mixpanel.com",
    "newrelic.com",
    "nr-data.net",
    "optimizely.com",
    "pendo.io",
    "plausible.io",
    "posthog.com",
    "quantserve.com",
    "rollbar.com",
    "scorecardresearch.com",
    "segment.com",
    "segment.io",
    "sentry.io",
    "statcounter.com",
];

/// The registrable name of the host, such as `acme.co.uk`, or the host if it has none.
pub(super) fn site_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let name = url.domain().map(|name| name.trim_end_matches('.'));
    name.and_then(psl::domain_str).unwrap_or(host).to_owned()
}

pub(super) fn is_tracker(site: &str) -> bool {
    TRACKERS.contains(&site)
}

/// Derives `acme` from `https://api.acme.co.uk`.
pub(crate) fn name_of(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let site = psl::domain_str(url.domain()?.trim_end_matches('.'))?;
    let label = site.split('.').next().filter(|label| site.len() > label.len())?;
    Some(readable(label))
}

/// A label of a domain name as people read it: `xn--mnchen-3ya` is `münchen`.
fn readable(label: &str) -> String {
    let (name, result) = idna::domain_to_unicode(label);
    if result.is_ok() { name } else { label.to_owned() }
}

/// The sites that may be that of the recorded product, most likely first: those of the pages, of the documents, and of
/// the pages that sent requests.
pub(super) fn candidates(pages: &[String], entries: &[RecordedRequest]) -> Vec<String> {
    let titles = pages.iter().filter_map(|title| Url::parse(title).ok()).filter(|url| url.host_str().is_some());
    let is_page = |entry: &&RecordedRequest| entry.kind.as_deref() == Some("document");
    let documents = entries.iter().filter(is_page).map(|entry| entry.url.clone());
    let origins = entries.iter().filter_map(RecordedRequest::page);
    let mut seen = BTreeSet::new();
    let is_web = |url: &Url| ["http", "https"].contains(&url.scheme());
    titles
        .chain(documents)
        .chain(origins)
        .filter(is_web)
        .map(|url| site_of(&url))
        .filter(|site| seen.insert(site.clone()))
        .collect()
}
