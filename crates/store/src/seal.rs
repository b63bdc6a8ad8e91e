//! Seals secrets at rest with XChaCha20-Poly1305 under a key file of 32 random bytes.
//!
//! A sealed value is `nonce (24 bytes) ‖ ciphertext ‖ tag`. The value's place is authenticated with it, so a value that
//! is moved to another row of the database cannot be opened.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use domain::session::{SessionId, SessionKey};
use rand::TryRng;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::StoreError;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const CHECK_TEXT: &str = "claude-runner";

/// Holds the key. The cipher wipes it when dropped. It has no `Debug` on purpose.
pub(super) struct Sealer(XChaCha20Poly1305);

/// The kind and the owner of a sealed value.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    KeyCheck,
    Env { session: SessionKey, name: &'a str },
    LinkSecret { session: SessionKey, sandbox: &'a str },
    Webhook { session: SessionKey, task: &'a str },
}

impl Sealer {
    /// Reads the key file. If it is missing, creates one if `may_create` (nothing is sealed yet), else fails.
    pub(super) fn open(path: &Path, may_create: bool) -> Result<Self, StoreError> {
        let key = match fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !may_create {
                    return Err(StoreError::MissingKey { path: path.to_owned() });
                }
                create_key(path)?
            }
            Err(source) => return Err(StoreError::File { path: path.to_owned(), source }),
        };
        if fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
            tracing::warn!(file = %path.display(), "other users can read the key file: set its mode to 0600");
        }
        XChaCha20Poly1305::new_from_slice(&key)
            .map(Sealer)
            .map_err(|_| StoreError::MalformedKey { path: path.to_owned(), length: key.len() })
    }

    pub(super) fn check_value(&self) -> Result<Vec<u8>, StoreError> {
        self.seal(Place::KeyCheck, &SecretString::from(CHECK_TEXT))
    }

    pub(super) fn opens(&self, check_value: &[u8]) -> bool {
        self.decrypt(Place::KeyCheck, check_value).is_some_and(|text| text.expose_secret() == CHECK_TEXT)
    }

    pub(super) fn seal(&self, place: Place<'_>, secret: &SecretString) -> Result<Vec<u8>, StoreError> {
        // With 192 random bits two values never share a nonce. A counter would be reset by restoring a backup.
        let mut nonce = [0; NONCE_BYTES];
        rand::fill(&mut nonce);
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: &place.bytes() };
        let ciphertext = self
            .0
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::corrupt("a value is too long to be sealed"))?;
        Ok([nonce.as_slice(), &ciphertext].concat())
    }

    /// Opens a sealed value. The session's id is only for the error message.
    pub(super) fn unseal(
        &self,
        place: Place<'_>,
        sealed: &[u8],
        session: &SessionId,
    ) -> Result<SecretString, StoreError> {
        self.decrypt(place, sealed)
            .ok_or_else(|| StoreError::DoesNotOpen { session: session.clone(), what: place.to_string() })
    }

    /// `None`: it was sealed for another place or with another key, or it was modified.
    pub(super) fn decrypt(&self, place: Place<'_>, sealed: &[u8]) -> Option<SecretString> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: ciphertext, aad: &place.bytes() };
        let plain = self.0.decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new).ok()?;
        // Allocate the exact size, because a shrinking reallocation could leave a copy behind.
        Some(SecretString::from(Box::<str>::from(std::str::from_utf8(&plain).ok()?)))
    }
}

impl Place<'_> {
    /// The place as bytes. The kind is one byte and the session's key has a fixed length, so two places never have the
    /// same bytes.
    fn bytes(self) -> Vec<u8> {
        let spell = |kind: u8, session: SessionKey, name: &str| {
            [&[kind], session.as_bytes().as_slice(), name.as_bytes()].concat()
        };
        match self {
            Place::KeyCheck => vec![0],
            Place::Env { session, name } => spell(1, session, name),
            Place::LinkSecret { session, sandbox } => spell(2, session, sandbox),
            Place::Webhook { session, task } => spell(3, session, task),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::KeyCheck => f.write_str("the check value"),
            Place::Env { name, .. } => write!(f, "the value of {name} in the env"),
            Place::LinkSecret { sandbox, .. } => write!(f, "the link secret of sandbox {sandbox}"),
            Place::Webhook { task, .. } => write!(f, "the webhook of task {task}"),
        }
    }
}

/// Creates a key file. It is durable before it is used: if the key were lost with the page cache, nothing sealed could
/// be opened.
pub(super) fn create_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut key = Zeroizing::new(vec![0; KEY_BYTES]);
    rand::rngs::SysRng.try_fill_bytes(&mut key).map_err(|error| StoreError::Random(error.to_string()))?;
    let write = || {
        let part = path.with_extension("part");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(&key)?;
        file.sync_all()?;
        // Rename when complete, so that a crash never leaves half a key.
        fs::rename(&part, path)?;
        sync_directory_of(path)
    };
    write().map_err(StoreError::file(path))?;
    Ok(key)
}

pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(directory)?.sync_all()
}
