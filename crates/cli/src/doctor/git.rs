//! The program that fetches repositories.

use std::process::{Command, Stdio};

use super::check::Check;

const NAME: &str = "git";

/// Sessions need no git. Without it, only repository tasks fail.
pub(super) fn look() -> Check {
    let remedy = "install it (`apt-get install git`) before handing in tasks on repositories";
    match Command::new("git").arg("version").stdin(Stdio::null()).stderr(Stdio::null()).output() {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout);
            Check::ok(NAME, version.trim().trim_start_matches("git ").to_owned())
        }
        Ok(output) => Check::warn(NAME, format!("`git version` ended with {}", output.status), remedy),
        Err(error) => Check::warn(NAME, format!("`git` cannot be run: {}", error.kind()), remedy),
    }
}
