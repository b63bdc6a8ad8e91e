//! Builds the TypeScript client as docs/guides/first-agent.md says, once for all pages, because that takes long.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

use super::place;
use crate::docs::root;

const CLIENT: &str = "clients/typescript";

/// Copies the build into a clone.
pub(super) fn put(clone: &Path) {
    place::copy(&built(), &clone.join(CLIENT).join("dist"));
}

/// Returns the directory of the build. The first caller builds it.
fn built() -> PathBuf {
    let build = Path::new(env!("CARGO_BIN_EXE_claude-runner")).ancestors().nth(2).unwrap().join("guides");
    std::fs::create_dir_all(&build).unwrap();
    let lock = std::fs::File::create(build.join("lock")).unwrap();
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    let (client, stamp) = (build.join("client"), build.join("stamp"));
    let wanted = fingerprint(&root().join(CLIENT)).to_string();
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return client.join("dist");
    }
    let _ = std::fs::remove_dir_all(&client);
    place::copy(&root().join(CLIENT), &client);
    let mut command = Command::new("bash");
    command.args(["-euc", "npm ci --prefer-offline --no-audit --no-fund && npm run --silent build"]);
    let output = command.current_dir(&client).output().unwrap();
    assert!(output.status.success(), "{CLIENT} was not built: {output:#?}");
    std::fs::write(stamp, wanted).unwrap();
    client.join("dist")
}

/// Returns a hash of all sources of the build.
fn fingerprint(client: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let files =
        ["package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json"].map(|name| client.join(name));
    let sources = [client.join("src"), client.join("src/generated")];
    let sources = sources.iter().flat_map(|directory| std::fs::read_dir(directory).unwrap());
    let mut files: Vec<PathBuf> =
        sources.map(|entry| entry.unwrap().path()).chain(files).filter(|path| path.is_file()).collect();
    files.sort();
    for file in files {
        std::fs::read(file).unwrap().hash(&mut hasher);
    }
    hasher.finish()
}
