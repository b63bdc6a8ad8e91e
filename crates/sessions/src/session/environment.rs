//! A session's `env`: the variables of its tools, the places that it opens, and the credential that it may contain.

use std::collections::BTreeMap;

use domain::egress::{EgressRule, origins_in_env};
use domain::session::{API_KEY_VARIABLE, CREDENTIAL_NAMES, OAUTH_TOKEN_VARIABLE};
use gateway::{Credential, InvalidCredential, SessionAccess};
use secrecy::{ExposeSecret, SecretString};

/// The credential in an `env`, if there is one.
pub fn own_credential(env: &BTreeMap<String, SecretString>) -> Result<Option<Credential>, InvalidCredential> {
    let value = |name: &str| env.get(name).map(ExposeSecret::expose_secret);
    match (value(OAUTH_TOKEN_VARIABLE), value(API_KEY_VARIABLE)) {
        (Some(token), _) => Credential::oauth_token(token).map(Some),
        (None, Some(key)) => Credential::api_key(key).map(Some),
        (None, None) => Ok(None),
    }
}

/// The access of a sandbox on behalf of its session: its credential, the origins of its URLs, and the rules of its
/// agent.
pub(crate) fn access(env: &BTreeMap<String, SecretString>, egress: &[EgressRule]) -> SessionAccess {
    SessionAccess {
        // The credential was validated when it was submitted.
        credential: own_credential(env).ok().flatten(),
        origins: origins_in_env(env.values().map(ExposeSecret::expose_secret)),
        egress: egress.to_vec(),
    }
}

/// The variables of the agent's tools.
pub(crate) fn visible(env: &BTreeMap<String, SecretString>) -> BTreeMap<String, String> {
    env.iter()
        .filter(|(name, _)| !CREDENTIAL_NAMES.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
        .collect()
}
