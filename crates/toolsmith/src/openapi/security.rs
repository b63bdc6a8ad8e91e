//! The credentials of an operation.

use serde_json::{Map, Value};

use super::operation::Found;
use super::source::Source;
use crate::builder::Builder;
use crate::left_out::{LeftOut, Odd};
use crate::model::{Secret, SecretPlace};
use crate::names::{is_sayable, variable};

/// Adds the secrets of the first security requirement that a tool can meet. They are optional if the operation also works
/// without.
pub(super) fn add(source: &Source<'_>, found: &Found<'_>, builder: &mut Builder<'_>, left_out: &mut LeftOut) {
    let operation = found.operation;
    let security = operation.get("security").filter(|security| security.is_array());
    let ways = security.unwrap_or(&source.document["security"]).as_array().map(Vec::as_slice).unwrap_or_default();
    let ways: Vec<&Map<String, Value>> = ways.iter().filter_map(Value::as_object).collect();
    let required = !ways.iter().any(|way| way.is_empty());
    let is_open = ways.iter().all(|way| way.is_empty());
    for way in ways.into_iter().filter(|way| !way.is_empty()) {
        let secrets: Option<Vec<Secret>> =
            way.keys().map(|name| of_scheme(source, name, &builder.api.prefix, required)).collect();
        if let Some(secrets) = secrets {
            for secret in secrets {
                builder.credential(secret);
            }
            return;
        }
    }
    if !is_open {
        left_out.add_odd(Odd::new("credentials that a tool cannot send", format!("{}.security", found.place)));
    }
}

fn of_scheme(source: &Source<'_>, name: &str, prefix: &str, required: bool) -> Option<Secret> {
    let scheme = source.document.pointer("/components/securitySchemes")?.get(name)?;
    let scheme = source.resolved(scheme).ok()?;
    let key = scheme["name"].as_str().unwrap_or_default().to_owned();
    let authorization = |before| SecretPlace::Header { name: "Authorization".to_owned(), before };
    let is_token = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let http = scheme["scheme"].as_str().unwrap_or_default().to_ascii_lowercase();
    let (place, variable) = match (scheme["type"].as_str()?, scheme["in"].as_str().unwrap_or_default()) {
        ("apiKey", "query") if is_sayable(&key) => (SecretPlace::Query(key.clone()), variable(prefix, &key)),
        ("apiKey", "header") if is_token => {
            (SecretPlace::Header { name: key.clone(), before: "" }, variable(prefix, &key))
        }
        ("apiKey", "cookie") if is_token => (SecretPlace::Cookie(key.clone()), variable(prefix, &key)),
        ("http", _) if http == "basic" => (authorization("Basic "), variable(prefix, "BASIC_AUTH")),
        ("http", _) if http == "bearer" => (authorization("Bearer "), variable(prefix, "TOKEN")),
        ("oauth2" | "openIdConnect", _) => (authorization("Bearer "), variable(prefix, "TOKEN")),
        // Other schemes need the whole header.
        ("http", _) if http != "digest" => (authorization(""), variable(prefix, "AUTHORIZATION")),
        _ => return None,
    };
    Some(Secret { place, variable, required })
}
