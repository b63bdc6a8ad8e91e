//! `claude-runner rekey`: replaces the key of the secrets in the store.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use store::{RekeyStep, StoreError, rekey};

#[derive(Args, Debug)]
pub struct RekeyOptions {
    /// The directory of the store
    #[arg(long, env = "DATA_DIR", default_value = "./data")]
    data_dir: PathBuf,

    /// The key that seals secrets in the store, which is replaced [default: secret.key in `DATA_DIR`]
    #[arg(long, env = "SECRET_KEY_FILE")]
    secret_key_file: Option<PathBuf>,
}

pub(super) fn run(options: &RekeyOptions) -> anyhow::Result<ExitCode> {
    let mut values = 0;
    let mut place = PathBuf::new();
    let done = rekey(&options.data_dir, options.secret_key_file.as_deref(), |step| match step {
        RekeyStep::KeyMade(path) => eprintln!("made a new key: {}", path.display()),
        RekeyStep::Sealed(count) => {
            values = count;
            eprintln!("sealed {count} values with it");
        }
        RekeyStep::Wiped => eprintln!("wiped what the old key opens"),
        RekeyStep::Replaced(path) => {
            eprintln!("put it in the old one's place");
            place = path;
        }
    });
    done.map_err(|error| {
        let remedy = match error {
            StoreError::Locked { .. } => "stop the server first, then call rekey again",
            _ => "the key was not replaced; the store still opens with all its values",
        };
        anyhow::Error::new(error).context(remedy)
    })
    .context("rekey")?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "The store in {} has a new key: {}", options.data_dir.display(), place.display())?;
    writeln!(
        stdout,
        "{values} values were sealed with it. Backups made before need the old key; keep it with them or delete both."
    )?;
    Ok(ExitCode::SUCCESS)
}
