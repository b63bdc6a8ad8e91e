//! The certificate authorities of CA_FILE in the agent image, for programs whose requests pass a proxy that decrypts TLS.

use engine::Labels;
use network_access::NetworkAccess;

use super::hash_of;

/// The label with the hash of the certificates. It is missing from an image without any.
pub(super) const LABEL: &str = "claude-runner.authorities";

/// The steps that are appended to the Dockerfile.
pub(super) const DOCKERFILE: &str = include_str!("../../../docker/authorities.Dockerfile");

/// Returns the label with its value. `None` without CA_FILE.
pub(super) fn label(network: &NetworkAccess) -> Option<(String, String)> {
    let certificates = network.own_certificates();
    let parts: Vec<&[u8]> = certificates.iter().map(String::as_bytes).collect();
    (!parts.is_empty()).then(|| (LABEL.to_owned(), hash_of(&parts, b"")))
}

/// The files of the build context: name and content.
pub(super) fn files(network: &NetworkAccess) -> Vec<(String, String)> {
    let certificates = network.own_certificates().into_iter().enumerate();
    certificates.map(|(number, pem)| (format!("authorities/claude-runner-{number}.crt"), pem)).collect()
}

/// Returns true if an image with these labels trusts the authorities of CA_FILE, and no others of an earlier one.
pub fn trusts_authorities(labels: &Labels, network: &NetworkAccess) -> bool {
    labels.get(LABEL) == label(network).map(|(_, hash)| hash).as_ref()
}
