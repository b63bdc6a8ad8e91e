//! The network, as the environment and git know it.

use std::ffi::OsString;
use std::path::Path;

use network_access::NetworkAccess;

/// The file in DATA_DIR that git trusts, if CA_FILE is set: git takes one file, and it replaces the machine's authorities.
const BUNDLE: &str = "ca-bundle.pem";

/// Reads a variable of the environment. `None` if it is not set or empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Without a value these keep everything.
const EMPTY_MEANS_SOMETHING: [&str; 3] = ["AUDIT_RETENTION", "EVENT_RETENTION", "TASK_RETENTION"];

/// Returns true for a variable that is set to nothing, which counts as not set.
pub fn is_unset_by_empty(name: &str) -> bool {
    !EMPTY_MEANS_SOMETHING.contains(&name) && std::env::var_os(name).is_some_and(|value| value.is_empty())
}

/// The environment of every git that the coordinator itself runs. With CA_FILE, the file that git trusts is written to DATA_DIR.
pub fn git_environment(network: &NetworkAccess, data_dir: &Path) -> std::io::Result<Vec<(&'static str, OsString)>> {
    let mut environment: Vec<_> = std::env::var_os("PATH").map(|path| ("PATH", path)).into_iter().collect();
    let authorities = match network.certificate_bundle() {
        Some(bundle) => {
            let path = data_dir.join(BUNDLE);
            std::fs::write(&path, bundle)?;
            Some(std::path::absolute(path)?.into())
        }
        None => std::env::var_os("SSL_CERT_FILE"),
    };
    environment.extend(authorities.map(|path| ("GIT_SSL_CAINFO", path)));
    environment.extend(network.proxy_variables().into_iter().map(|(name, value)| (name, value.into())));
    Ok(environment)
}
