//! Chooses the credential of a model request.

use std::path::PathBuf;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use observe::redact::Redactor;
use secrecy::{ExposeSecret, SecretString};

use super::betas::set_oauth_beta;
use super::headers::X_API_KEY;
use super::login::{Login, LoginFile};

/// A credential that the model API accepts.
#[derive(Clone, Debug)]
pub struct Credential {
    kind: CredentialKind,
    secret: SecretString,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// `ANTHROPIC_API_KEY`, sent as `x-api-key`
    ApiKey,
    /// `CLAUDE_CODE_OAUTH_TOKEN`, sent as a bearer token
    OAuthToken,
    /// The login of Claude Code on this host, an OAuth token that expires within hours
    Login,
    /// The scripted model answers, which needs none. Sent as `x-api-key`
    Scripted,
}

#[derive(Debug, thiserror::Error)]
#[error("a credential is one line of printable ASCII without spaces")]
pub struct InvalidCredential;

impl Credential {
    /// White space around `key` is removed, because keys are often read from a file with a line break.
    pub fn api_key(key: &str) -> Result<Credential, InvalidCredential> {
        Credential::new(CredentialKind::ApiKey, key)
    }

    /// Like [`Credential::api_key`], but for a token.
    pub fn oauth_token(token: &str) -> Result<Credential, InvalidCredential> {
        Credential::new(CredentialKind::OAuthToken, token)
    }

    /// The key of the scripted model. The credentials of sessions are not used beside it.
    pub fn scripted(key: &str) -> Result<Credential, InvalidCredential> {
        Credential::new(CredentialKind::Scripted, key)
    }

    pub fn kind(&self) -> CredentialKind {
        self.kind
    }

    pub(super) fn new(kind: CredentialKind, secret: &str) -> Result<Credential, InvalidCredential> {
        let secret = secret.trim();
        let valid = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
        if valid { Ok(Credential { kind, secret: secret.into() }) } else { Err(InvalidCredential) }
    }

    /// Adds this credential to a request from which the container's own was removed.
    pub(super) fn put_in(&self, headers: &mut HeaderMap) {
        let secret = self.secret.expose_secret();
        let (name, text) = match self.kind {
            CredentialKind::ApiKey | CredentialKind::Scripted => (X_API_KEY, secret.to_owned()),
            CredentialKind::OAuthToken | CredentialKind::Login => (AUTHORIZATION, format!("Bearer {secret}")),
        };
        set_oauth_beta(headers, name == AUTHORIZATION);
        // `new` accepted only characters that are valid in a header.
        if let Ok(mut value) = HeaderValue::try_from(text) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }

    pub(super) fn is_same(&self, other: &Credential) -> bool {
        self.kind == other.kind && self.secret.expose_secret() == other.secret.expose_secret()
    }
}

/// The operator's credentials: one from the environment, or else the login of Claude Code on this host.
#[derive(Debug, Default)]
pub struct Credentials {
    operator: Option<Credential>,
    login: Option<LoginFile>,
}

/// The state of the operator's credential, for `/ready`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialState {
    /// `None`: there is no credential.
    pub kind: Option<CredentialKind>,
    /// An error is a sentence that gives the reason and the remedy. The API is not asked whether it accepts the credential.
    pub usable: Result<(), String>,
    /// Set for a login only.
    pub expires_at: Option<Timestamp>,
}

/// The reason why there is no credential for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    None(String),
    Expired(String),
}

impl Credentials {
    /// `operator`: `CLAUDE_CODE_OAUTH_TOKEN` or `ANTHROPIC_API_KEY`. `login_file`: `~/.claude/.credentials.json`, which
    /// need not exist.
    pub fn new(operator: Option<Credential>, login_file: Option<PathBuf>) -> Self {
        Credentials { operator, login: login_file.map(LoginFile::new) }
    }

    /// Masks the tokens of the login, including later ones.
    #[must_use]
    pub fn redacted_by(mut self, redactor: Arc<Redactor>) -> Self {
        if let Some(login) = &mut self.login {
            login.redactor = redactor;
            login.read(Timestamp::now());
        }
        self
    }

    pub fn state(&self) -> CredentialState {
        if let Some(operator) = &self.operator {
            return CredentialState { kind: Some(operator.kind()), usable: Ok(()), expires_at: None };
        }
        let login = self.login();
        let (kind, expires_at) = match &login {
            Login::Missing | Login::Unreadable(_) => (None, None),
            Login::Valid { expires_at, .. } => (Some(CredentialKind::Login), *expires_at),
            Login::Expired { at, .. } => (Some(CredentialKind::Login), Some(*at)),
        };
        let usable = usable(login).map(drop).map_err(|unusable| match unusable {
            Unusable::None(sentence) | Unusable::Expired(sentence) => sentence,
        });
        CredentialState { kind, usable, expires_at }
    }

    /// The credential of one request: the session's own, the operator's, the login, in this order. The scripted model gets its own key.
    pub(super) fn select(&self, session: Option<&Credential>) -> Result<Credential, Unusable> {
        let operator = self.operator.as_ref();
        let scripted = operator.filter(|credential| credential.kind == CredentialKind::Scripted);
        match scripted.or(session).or(operator) {
            Some(credential) => Ok(credential.clone()),
            None => usable(self.login()),
        }
    }

    fn login(&self) -> Login {
        self.login.as_ref().map_or(Login::Missing, |file| file.read(Timestamp::now()))
    }
}

fn usable(login: Login) -> Result<Credential, Unusable> {
    match login {
        Login::Valid { credential, .. } => Ok(credential),
        Login::Expired { path, at } => Err(Unusable::Expired(format!(
            "the login in {} expired at {at:.0}; run `claude` on the host to log in again, or set ANTHROPIC_API_KEY or \
             CLAUDE_CODE_OAUTH_TOKEN",
            path.display()
        ))),
        Login::Missing => Err(Unusable::None(
            "there is no credential for the model API: set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN for the \
             coordinator or in the task's env, or log in with `claude` on the host; `claude-runner serve --scripted` \
             works without one and answers with a scripted model"
                .to_owned(),
        )),
        Login::Unreadable(why) => Err(Unusable::None(format!(
            "there is no credential for the model API: {why}; set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN"
        ))),
    }
}
