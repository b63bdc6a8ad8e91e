//! The address of the container engine, found in the same way as `docker` does: DOCKER_HOST, else the context that
//! DOCKER_CONTEXT or `docker context use` has selected, else the engine's default. So scripts and server use one engine.

use std::fs;
use std::path::{Path, PathBuf};

use engine_docker::{DEFAULT_HOST, DockerEngine};
use serde::Deserialize;

/// The context that stands for the engine's default address.
const DEFAULT_CONTEXT: &str = "default";

const SCHEMES: [&str; 5] = ["unix://", "tcp://", "http://", "https://", "ssh://"];

#[derive(Debug, thiserror::Error)]
pub enum EngineAddressError {
    #[error("{from} is {address}, which has no scheme: write {suggestion}")]
    NoScheme { from: String, address: String, suggestion: String },
    #[error("{from} is {address}, whose scheme lacks its slashes: write {suggestion}")]
    NoSlashes { from: String, address: String, suggestion: String },
    #[error("{from} is {address}, whose scheme is not supported: use unix://, tcp:// or ssh://")]
    Scheme { from: String, address: String },
    #[error(
        "the docker context {name:?} was not found in {}: `docker context ls` lists them; choose one with `docker context use` or \
         DOCKER_CONTEXT, or set DOCKER_HOST", .directory.display()
    )]
    NoContext { name: String, directory: PathBuf },
    #[error(
        "the docker context {name:?} has certificates of its own, which are not read: set DOCKER_HOST={address}, \
         DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to their directory"
    )]
    ContextTls { name: String, address: String },
}

/// The address of the container engine.
pub fn docker_host() -> Result<String, EngineAddressError> {
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let directory = variable("DOCKER_CONFIG").map(PathBuf::from);
    let directory = directory.or_else(|| std::env::home_dir().map(|home| home.join(".docker")));
    resolve(variable("DOCKER_HOST"), variable("DOCKER_CONTEXT"), directory.as_deref())
}

/// The container engine, for commands that need it at most for some of their work. Without a valid address, its calls fail.
pub fn docker_engine() -> DockerEngine {
    docker_host().map_or_else(|error| DockerEngine::misconfigured(error.to_string()), DockerEngine::new)
}

/// `directory` is the configuration of `docker`.
fn resolve(
    host: Option<String>,
    context: Option<String>,
    directory: Option<&Path>,
) -> Result<String, EngineAddressError> {
    if let Some(host) = host {
        return with_scheme("DOCKER_HOST", host);
    }
    let context = context.or_else(|| current_context(directory?)).filter(|name| name != DEFAULT_CONTEXT);
    let Some(name) = context else { return Ok(DEFAULT_HOST.to_owned()) };
    let directory = directory.unwrap_or(Path::new("~/.docker")).join("contexts");
    let found = find(&directory.join("meta"), &name);
    let Some((id, address)) = found else { return Err(EngineAddressError::NoContext { name, directory }) };
    if directory.join("tls").join(id).join("docker").is_dir() {
        return Err(EngineAddressError::ContextTls { name, address });
    }
    with_scheme(&format!("the address of the docker context {name:?}"), address)
}

/// `docker` ignores a configuration that it cannot read.
fn current_context(directory: &Path) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        #[serde(default)]
        current_context: String,
    }
    let text = fs::read(directory.join("config.json")).ok()?;
    let config: Config = serde_json::from_slice(&text).ok()?;
    (!config.current_context.is_empty()).then_some(config.current_context)
}

/// Finds a context by its name. Returns the name of its directory and its engine's address.
fn find(meta: &Path, name: &str) -> Option<(std::ffi::OsString, String)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Context {
        name: String,
        endpoints: Endpoints,
    }
    #[derive(Deserialize)]
    struct Endpoints {
        docker: Endpoint,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Endpoint {
        host: String,
    }
    fs::read_dir(meta).ok()?.flatten().find_map(|entry| {
        let text = fs::read(entry.path().join("meta.json")).ok()?;
        let context: Context = serde_json::from_slice(&text).ok()?;
        (context.name == name).then(|| (entry.file_name(), context.endpoints.docker.host))
    })
}

fn with_scheme(from: &str, address: String) -> Result<String, EngineAddressError> {
    let from = from.to_owned();
    // `unix:/run/docker.sock` and `tcp:host:2375`
    let without_slashes =
        SCHEMES.iter().find_map(|scheme| Some((*scheme, address.strip_prefix(scheme.trim_end_matches('/'))?)));
    if SCHEMES.iter().any(|scheme| address.starts_with(scheme)) {
        Ok(address)
    } else if let Some((scheme, rest)) = without_slashes {
        let root = if scheme == "unix://" { "/" } else { "" };
        let suggestion = format!("{scheme}{root}{}", rest.trim_start_matches('/'));
        Err(EngineAddressError::NoSlashes { from, address, suggestion })
    } else if address.contains("://") {
        Err(EngineAddressError::Scheme { from, address })
    } else {
        let scheme = if address.starts_with('/') { "unix" } else { "tcp" };
        let suggestion = format!("{scheme}://{address}");
        Err(EngineAddressError::NoScheme { from, address, suggestion })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration with the contexts `far`, at a TCP address with certificates, and `near`, at a socket.
    fn configuration(current: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("config.json", &format!(r#"{{"auths": {{}}, "currentContext": "{current}"}}"#));
        let meta = |name: &str, host: &str| {
            format!(
                r#"{{"Name": "{name}", "Metadata": {{}}, "Endpoints": {{"docker": {{"Host": "{host}", "SkipTLSVerify": false}}}}}}"#
            )
        };
        write("contexts/meta/01/meta.json", &meta("far", "tcp://engine:2376"));
        write("contexts/tls/01/docker/ca.pem", "");
        write("contexts/meta/02/meta.json", &meta("near", "unix:///run/podman.sock"));
        directory
    }

    fn resolved(host: Option<&str>, context: Option<&str>, directory: &Path) -> Result<String, String> {
        resolve(host.map(str::to_owned), context.map(str::to_owned), Some(directory)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_host_wins_over_the_contexts_as_in_docker() {
        let near = configuration("near");
        let path = near.path();
        assert_eq!(resolved(None, None, path).unwrap(), "unix:///run/podman.sock");
        assert_eq!(resolved(Some("tcp://other"), Some("near"), path).unwrap(), "tcp://other");
        assert_eq!(resolved(None, Some("default"), path).unwrap(), DEFAULT_HOST);
        assert_eq!(resolved(None, Some("near"), configuration("default").path()).unwrap(), "unix:///run/podman.sock");
        assert_eq!(resolved(None, None, configuration("").path()).unwrap(), DEFAULT_HOST);
        assert_eq!(resolved(None, None, Path::new("/no/such/directory")).unwrap(), DEFAULT_HOST);
        fs::write(path.join("config.json"), "{").unwrap();
        assert_eq!(resolved(None, None, path).unwrap(), DEFAULT_HOST);
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let far = configuration("far");
        let error = resolved(None, None, far.path()).unwrap_err();
        assert!(error.contains("DOCKER_HOST=tcp://engine:2376") && error.contains("DOCKER_CERT_PATH"), "{error}");
        let error = resolved(None, Some("none"), far.path()).unwrap_err();
        assert!(error.contains("\"none\" was not found") && error.contains("docker context ls"), "{error}");
        let error = resolved(Some("/var/run/docker.sock"), None, far.path()).unwrap_err();
        assert_eq!(
            error,
            "DOCKER_HOST is /var/run/docker.sock, which has no scheme: write unix:///var/run/docker.sock"
        );
        for (address, suggestion) in [
            ("unix:/var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("unix:var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("tcp:localhost:2375", "tcp://localhost:2375"),
            ("tcp:/localhost:2375", "tcp://localhost:2375"),
        ] {
            let error = resolved(Some(address), None, far.path()).unwrap_err();
            assert_eq!(error, format!("DOCKER_HOST is {address}, whose scheme lacks its slashes: write {suggestion}"));
        }
        let error = resolved(Some("localhost:2375"), None, far.path()).unwrap_err();
        assert!(error.ends_with("write tcp://localhost:2375"), "{error}");
        let error = resolved(Some("fd://"), None, far.path()).unwrap_err();
        assert!(error.contains("not supported"), "{error}");
    }
}
