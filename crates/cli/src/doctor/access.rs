//! Checks who can reach the server.

use jiff::Timestamp;
use store::{KeyStore, StoreError};

use super::Settings;
use super::check::Check;

const NAME: &str = "access";

pub(super) fn look(settings: &Settings) -> Check {
    let (host, set) = (settings.host, settings.environment_keys);
    let (had, stored) = match stored(settings) {
        Ok(stored) => stored,
        Err(error) => {
            return Check::fail(NAME, format!("the stored keys cannot be read: {error}"), "see the check of the store");
        }
    };
    match (host.is_loopback(), stored, set) {
        (false, 0, 0) => Check::fail(
            NAME,
            format!("HOST is {host}, which others can reach, and there is no API key"),
            "make one with `claude-runner key create --scope admin`, set API_KEYS, or HOST=127.0.0.1",
        ),
        (true, 0, 0) if had => Check::fail(
            NAME,
            "no API key is valid any more, so every request is refused".to_owned(),
            "make one with `claude-runner key create --scope admin`, or set API_KEYS",
        ),
        (true, 0, 0) => Check::ok(NAME, format!("HOST is {host}: only this machine, without a key")),
        (_, stored, set) => Check::ok(
            NAME,
            format!("HOST is {host}, requests need one of {stored} stored keys and {set} keys of API_KEYS"),
        ),
    }
}

/// Returns true if the store has ever had a key, and the number of valid keys. It does not create the store.
fn stored(settings: &Settings) -> Result<(bool, usize), StoreError> {
    if store::schema_version(&settings.data_dir)? == store::SchemaVersion::Missing {
        return Ok((false, 0));
    }
    let now = Timestamp::now();
    let keys = KeyStore::open(&settings.data_dir)?.all()?;
    Ok((!keys.is_empty(), keys.keys.iter().filter(|key| key.is_valid(now)).count()))
}
