//! Certificate authorities: those of CA_FILE, beside those of this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Certificate, ClientBuilder};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// A CA_FILE that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    #[error("CA_FILE {} cannot be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("CA_FILE {} cannot be used: it must hold certificates in PEM form (-----BEGIN CERTIFICATE-----), at least one", path.display())]
    NoCertificate { path: PathBuf },
}

/// Further authorities. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Authorities(Option<Arc<Read>>);

#[derive(Debug)]
struct Read {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
    usable: Vec<Certificate>,
}

impl Authorities {
    pub(super) fn read(path: Option<&Path>) -> Result<Authorities, AuthoritiesError> {
        let Some(path) = path.filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned) else {
            return Ok(Authorities(None));
        };
        let pem = match std::fs::read(&path) {
            Ok(pem) => pem,
            Err(source) => return Err(AuthoritiesError::Read { path, source }),
        };
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let certificates = match certificates {
            Ok(certificates) if certificates.iter().all(|der| webpki::anchor_from_trusted_cert(der).is_ok()) => {
                certificates
            }
            _ => return Err(AuthoritiesError::NoCertificate { path }),
        };
        let usable: Result<Vec<_>, _> = certificates.iter().map(|der| Certificate::from_der(der)).collect();
        match usable {
            Ok(usable) if !usable.is_empty() => Ok(Authorities(Some(Arc::new(Read { path, certificates, usable })))),
            _ => Err(AuthoritiesError::NoCertificate { path }),
        }
    }

    /// CA_FILE, if it is set.
    pub(super) fn path(&self) -> Option<&Path> {
        self.0.as_ref().map(|read| read.path.as_path())
    }

    /// See [`NetworkAccess::certificate_bundle`](crate::NetworkAccess::certificate_bundle).
    pub(super) fn bundle(&self) -> Option<String> {
        let own = &self.0.as_ref()?.certificates;
        // Certificates that cannot be read are skipped, as every TLS library does.
        let mut all = rustls_native_certs::load_native_certs().certs;
        all.extend(own.iter().cloned());
        Some(encode(&all))
    }

    /// See [`NetworkAccess::own_certificates`](crate::NetworkAccess::own_certificates).
    pub(super) fn own(&self) -> Vec<String> {
        let read = self.0.as_ref().map(|read| read.certificates.as_slice()).unwrap_or_default();
        read.iter().map(|certificate| encode(std::slice::from_ref(certificate))).collect()
    }

    pub(super) fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        match &self.0 {
            Some(read) => builder.tls_certs_merge(read.usable.iter().cloned()),
            None => builder,
        }
    }
}

fn encode(certificates: &[CertificateDer<'static>]) -> String {
    let mut pem = String::new();
    for certificate in certificates {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = BASE64_STANDARD.encode(certificate);
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}
