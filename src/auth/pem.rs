//! Public keys as PEM. RFC 7468.
//! Invariant: what comes out is the DER of a block that is labelled as a public key.

use super::keys::KeyProblem;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The first public key of the text. Line breaks may be written as `\n`, as environments and JSON files have them.
pub(super) fn public_key(text: &str) -> Result<Vec<u8>, KeyProblem> {
    let text = text.replace("\\n", "\n");
    let (_, behind) = text.split_once("-----BEGIN ").ok_or(KeyProblem::NotPem)?;
    let (label, behind) = behind.split_once("-----").ok_or(KeyProblem::NotPem)?;
    if label.ends_with("PRIVATE KEY") {
        return Err(KeyProblem::Private);
    }
    if label != "PUBLIC KEY" && label != "RSA PUBLIC KEY" {
        return Err(KeyProblem::NotPem);
    }
    let (body, _) = behind.split_once(&format!("-----END {label}-----")).ok_or(KeyProblem::NotPem)?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).map_err(|_| KeyProblem::NotPem)
}
