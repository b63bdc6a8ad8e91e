//! Who can reach the server.

use super::check::Check;
use crate::config::ServeOptions;

const NAME: &str = "access";

pub(super) fn look(options: &ServeOptions) -> Check {
    let (host, keys) = (options.host, &options.api_keys);
    match (options.check(), keys.is_empty()) {
        (Err(_), _) => Check::fail(
            NAME,
            format!("HOST is {host}, which others can reach, and there are no API_KEYS"),
            "set API_KEYS to secrets of at least 32 characters (`openssl rand -hex 32` makes one), or HOST=127.0.0.1",
        ),
        (Ok(()), true) => Check::ok(NAME, format!("HOST is {host}: only this machine, without a key")),
        (Ok(()), false) => Check::ok(NAME, format!("HOST is {host}, requests need one of {keys:?}")),
    }
}
