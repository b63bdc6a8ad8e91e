//! npm: what the registry says of a package, and the package itself. npm knows this machine's registry. Proxy and
//! certificates are those of the other requests.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use domain::claude_code::Version;
use network_access::NetworkAccess;
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::ImageError;
use super::versions::Package;

/// The maximum time for the fetch. The package has 186 MB, and npm itself retries broken connections.
const FETCH_TIMEOUT: Duration = Duration::from_mins(15);

/// The maximum time for a question to the registry. npm itself gives up after less.
const VIEW_TIMEOUT: Duration = Duration::from_mins(5);

/// The part of npm's error output that is kept, in bytes.
const REASON_BYTES: usize = 2_000;

/// The hash that npm writes for every package of today.
const HASH: &str = "sha512-";

/// Asks the registry for a version of a package, or for its `latest`, and for the hash of that version.
pub(super) async fn view(name: &str, version: &str, network: &NetworkAccess) -> Result<Package, ImageError> {
    let package = format!("{name}@{version}");
    let failed = |reason: String| ImageError::Npm { package: package.clone(), reason };
    let arguments = ["view", "--json", "--loglevel=error", &package, "version", "dist.integrity"].map(OsStr::new);
    let output = run(&arguments, &std::env::temp_dir(), VIEW_TIMEOUT, &package, network).await?;
    if !output.status.success() {
        return Err(match serde_json::from_slice(&output.stdout) {
            Ok(Failed { error: RegistryError { code, .. } }) if code == "E404" => ImageError::NoVersion { package },
            Ok(Failed { error }) => failed(format!("{}: {}", error.code, error.summary)),
            Err(_) => failed(reason(&output)),
        });
    }
    let Viewed { version, integrity } = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("the registry gave no single version with its hash".to_owned()))?;
    if !integrity.starts_with(HASH) {
        return Err(failed(format!("the registry has no SHA-512 for it, only {integrity:?}")));
    }
    Ok(Package { name: name.to_owned(), version, integrity })
}

#[derive(Deserialize)]
struct Viewed {
    version: Version,
    #[serde(rename = "dist.integrity")]
    integrity: String,
}

#[derive(Deserialize)]
struct Failed {
    error: RegistryError,
}

#[derive(Deserialize)]
struct RegistryError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    summary: String,
}

/// Fetches a package's archive into an empty directory.
pub(super) async fn pack(package: &Package, directory: &Path, network: &NetworkAccess) -> Result<PathBuf, ImageError> {
    let name = package.to_string();
    let failed = |reason: String| ImageError::Npm { package: name.clone(), reason };
    let arguments = ["pack", "--ignore-scripts", "--loglevel=error", "--pack-destination"].map(OsStr::new);
    let arguments = [arguments.as_slice(), &[directory.as_os_str(), OsStr::new(&name)]].concat();
    let output = run(&arguments, directory, FETCH_TIMEOUT, &name, network).await?;
    if !output.status.success() {
        return Err(failed(reason(&output)));
    }
    let entries = fs::read_dir(directory).map_err(|error| failed(error.to_string()))?;
    let archives = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut archives = archives.filter(|path| path.extension().is_some_and(|extension| extension == "tgz"));
    archives.next().ok_or_else(|| failed("it left no archive".to_owned()))
}

async fn run(
    arguments: &[&OsStr],
    directory: &Path,
    limit: Duration,
    package: &str,
    network: &NetworkAccess,
) -> Result<Output, ImageError> {
    let failed = |reason: String| ImageError::Npm { package: package.to_owned(), reason };
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).kill_on_drop(true);
    command.envs(network.proxy_variables()).envs(network.ca_file().map(|path| ("NODE_EXTRA_CA_CERTS", path)));
    match timeout(limit, command.output()).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(ImageError::NoNpm { package: package.to_owned() })
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("it did not finish within {} s", limit.as_secs()))),
    }
}

fn reason(output: &Output) -> String {
    let tail = &output.stderr[output.stderr.len().saturating_sub(REASON_BYTES)..];
    format!("{}, {}", output.status, String::from_utf8_lossy(tail).trim())
}
