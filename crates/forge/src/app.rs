//! GitHub Apps. An App signs a JWT (RS256, RFC 7519) with its private key and exchanges it for an installation token.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::repository::RepositoryName;
use http::Method;
use jiff::Timestamp;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{GitHub, GitHubError, InvalidGitHubCredential};

/// The id and the private key of a GitHub App.
#[derive(Clone)]
pub struct AppKey {
    id: u64,
    key: Arc<RsaKeyPair>,
}

impl AppKey {
    /// Reads the PEM file that the forge issues, PKCS#1 or PKCS#8.
    pub fn read(id: u64, path: &Path) -> Result<AppKey, InvalidGitHubCredential> {
        let pem = zeroize::Zeroizing::new(std::fs::read(path).map_err(InvalidGitHubCredential::Read)?);
        let key = match PrivateKeyDer::from_pem_slice(&pem) {
            Ok(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            Ok(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            Ok(_) | Err(_) => return Err(InvalidGitHubCredential::Key),
        };
        Ok(AppKey { id, key: Arc::new(key.map_err(|_| InvalidGitHubCredential::Key)?) })
    }

    /// Signs a JWT that is valid for nine minutes; the forge accepts at most ten.
    fn jwt(&self, now: Timestamp) -> Result<String, GitHubError> {
        let now = now.as_second();
        // The forge recommends one minute in the past, because its clock may be behind.
        let claims = json!({ "iat": now - 60, "exp": now + 9 * 60, "iss": self.id.to_string() });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| GitHubError::Signature("the key is too small or damaged"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl std::fmt::Debug for AppKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the key of App {}", self.id)
    }
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct AccessToken {
    token: String,
    expires_at: Timestamp,
}

impl GitHub {
    /// Requests a token for one repository, from the App's installation there.
    pub(super) async fn installation_token(
        &self,
        app: &AppKey,
        repository: &RepositoryName,
    ) -> Result<(SecretString, Timestamp), GitHubError> {
        let jwt = SecretString::from(app.jwt(Timestamp::now())?);
        let path = format!("/repos/{repository}/installation");
        let Installation { id } = self.call(&jwt, Method::GET, &path, None).await?;
        let path = format!("/app/installations/{id}/access_tokens");
        let wanted = json!({ "repositories": [repository.name()] });
        let AccessToken { token, expires_at } = self.call(&jwt, Method::POST, &path, Some(&wanted)).await?;
        Ok((token.into(), expires_at))
    }
}
