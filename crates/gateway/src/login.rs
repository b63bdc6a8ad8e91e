//! The login that Claude Code keeps on this host, in `~/.claude/.credentials.json`.
//!
//! Shape: `{"claudeAiOauth":{"accessToken","refreshToken","expiresAt"}}`, `expiresAt` in milliseconds since 1970. The login is not
//! refreshed while the CLI does not run on the host. Using the refresh token here would log the CLI out.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use domain::plain::of_os;
use jiff::Timestamp;
use observe::redact::Redactor;
use serde::Deserialize;

use super::credential::{Credential, CredentialKind};

/// The current content of the file.
#[derive(Clone, Debug)]
pub(super) enum Login {
    Missing,
    /// The reason, which does not quote the file.
    Unreadable(String),
    Valid {
        credential: Credential,
        expires_at: Option<Timestamp>,
    },
    Expired {
        path: PathBuf,
        at: Timestamp,
    },
}

/// The file, which is read again only after it was changed or replaced.
#[derive(Debug)]
pub(super) struct LoginFile {
    path: PathBuf,
    pub(super) redactor: Arc<Redactor>,
    seen: Mutex<Option<(Stamp, Contents)>>,
}

type Contents = Result<(Credential, Option<Timestamp>), String>;

/// Changes whenever the file is written or replaced: inode, size, and time of change in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(u64, u64, i64, i64);

impl LoginFile {
    /// A login has under 1 KB.
    const MAX_BYTES: u64 = 64 << 10;

    pub(super) fn new(path: PathBuf) -> Self {
        LoginFile { path, redactor: Arc::default(), seen: Mutex::new(None) }
    }

    /// Reads the file's metadata each time. That blocks for microseconds, less than handing it to another thread would take.
    pub(super) fn read(&self, now: Timestamp) -> Login {
        let stamp = match std::fs::metadata(&self.path) {
            Ok(metadata) => Stamp(metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Login::Missing,
            Err(error) => return Login::Unreadable(unreadable(&self.path, &error)),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = match &*seen {
            Some((then, contents)) if *then == stamp => contents.clone(),
            _ => {
                let contents = parse(&self.path, &self.redactor);
                *seen = Some((stamp, contents.clone()));
                contents
            }
        };
        match contents {
            Err(why) => Login::Unreadable(why),
            Ok((_, Some(at))) if at <= now => Login::Expired { path: self.path.clone(), at },
            Ok((credential, expires_at)) => Login::Valid { credential, expires_at },
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialsFile {
    claude_ai_oauth: Option<OAuth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OAuth {
    access_token: String,
    refresh_token: Option<String>,
    expires_at: Option<i64>,
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read: {}", path.display(), of_os(&error.to_string()))
}

fn parse(path: &Path, redactor: &Redactor) -> Contents {
    let name = path.display();
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LoginFile::MAX_BYTES).read_to_end(&mut text))
        .map_err(|error| unreadable(path, &error))?;
    // The parser's own message could quote a part of the secret.
    let file: CredentialsFile =
        serde_json::from_slice(&text).map_err(|_| format!("{name} is not a login of Claude Code"))?;
    let oauth = file.claude_ai_oauth.ok_or_else(|| format!("{name} holds no login of a Claude account"))?;
    for token in oauth.refresh_token.iter().chain([&oauth.access_token]) {
        redactor.learn(token.trim());
    }
    let credential = Credential::new(CredentialKind::Login, &oauth.access_token)
        .map_err(|_| format!("the token in {name} is empty or has characters that a token cannot have"))?;
    let expires_at = oauth.expires_at.and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok());
    Ok((credential, expires_at))
}
