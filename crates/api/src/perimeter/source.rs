//! The decision by Host, Origin and Sec-Fetch-Site.

use std::net::SocketAddr;

use http::header::{CONTENT_LENGTH, HOST, ORIGIN, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use super::authority::Authority;
use super::{Perimeter, Refusal};

impl Perimeter {
    /// `local` is the server's address of the connection.
    pub(super) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        version: Version,
        headers: &HeaderMap,
        local: Option<SocketAddr>,
    ) -> Result<(), Refusal> {
        if headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING) {
            return Err(Refusal::TwoLengths);
        }
        if version == Version::HTTP_10 && is_health_check(uri, headers) {
            return Ok(());
        }
        let host = self.check_host(uri, headers, local)?;
        let origin = self.check_origin(&host, headers)?;
        let is_page = *method == Method::GET && uri.path() == "/" && is_navigation(headers);
        match single(headers, &SEC_FETCH_SITE) {
            Ok(None) => Ok(()),
            Ok(Some(site)) if site == "same-origin" || site == "none" => Ok(()),
            // A link to the dashboard may be followed, because `/` changes nothing and shows no data.
            Ok(Some(_)) | Err(Doubled) if origin == Origin::Allowed || is_page => Ok(()),
            Ok(Some(_)) | Err(Doubled) => Err(Refusal::CrossSite),
        }
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap, local: Option<SocketAddr>) -> Result<Authority, Refusal> {
        let value = match single(headers, &HOST) {
            Ok(Some(value)) => value,
            Ok(None) => return Err(Refusal::InvalidHost("it is missing")),
            Err(Doubled) => return Err(Refusal::InvalidHost("the header occurs more than once")),
        };
        let host = parse(value).ok_or(Refusal::InvalidHost("it must be like example.com or example.com:3456"))?;
        if !self.is_ours(&host, local) {
            return Err(Refusal::HostNotAllowed(host.name().to_owned()));
        }
        // In `GET http://host/path` the target decides, but a proxy in between may have used the header.
        if let Some(target) = uri.authority() {
            let target = Authority::parse(target.as_str());
            if target.as_ref() != Some(&host) {
                return Err(Refusal::InvalidHost("it differs from the host of the request line"));
            }
        }
        Ok(host)
    }

    fn check_origin(&self, host: &Authority, headers: &HeaderMap) -> Result<Origin, Refusal> {
        let value = match single(headers, &ORIGIN) {
            Ok(Some(value)) => value,
            Ok(None) => return Ok(Origin::Absent),
            Err(Doubled) => return Err(Refusal::OriginNotAllowed),
        };
        if self.origins.0.contains(value) || is_own_origin(value, host) {
            Ok(Origin::Allowed)
        } else {
            Err(Refusal::OriginNotAllowed)
        }
    }
}

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Absent,
    Allowed,
}

/// Returns true for a health check of a load balancer, which need not name a host in HTTP/1.0. HAProxy sends `OPTIONS /` unless
/// another path is configured. No browser sends HTTP/1.0, and these paths return no private data.
fn is_health_check(uri: &Uri, headers: &HeaderMap) -> bool {
    let names_nobody = [&HOST, &ORIGIN, &SEC_FETCH_SITE].into_iter().all(|name| !headers.contains_key(name));
    names_nobody && uri.authority().is_none() && matches!(uri.path(), "/" | "/health" | "/ready")
}

/// A header that may occur once occurs several times.
struct Doubled;

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Doubled> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Doubled),
    }
}

fn parse(value: &HeaderValue) -> Option<Authority> {
    Authority::parse(value.to_str().ok()?)
}

/// Returns true if the page came from the host that is called now. Only a proxy in front of the server knows whether TLS is used,
/// so both schemes are accepted.
fn is_own_origin(origin: &HeaderValue, host: &Authority) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let (rest, default) = match (origin.strip_prefix("http://"), origin.strip_prefix("https://")) {
        (Some(rest), _) => (rest, 80),
        (None, Some(rest)) => (rest, 443),
        (None, None) => return false,
    };
    Authority::parse(rest).is_some_and(|origin| origin.is_same(host, default))
}

/// Returns true if a person followed a link or typed an address, so that the browser shows the answer as a separate page.
fn is_navigation(headers: &HeaderMap) -> bool {
    let is = |name, value: &str| matches!(single(headers, name), Ok(Some(found)) if found == value);
    is(&SEC_FETCH_MODE, "navigate") && is(&SEC_FETCH_DEST, "document")
}
