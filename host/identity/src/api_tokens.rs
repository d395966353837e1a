//! Long-lived tokens for programs: random texts, of which only the hash is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::IdentityError;
use crate::keys::random;

/// Makes a leaked token recognisable to people and to scanners.
const PREFIX: &str = "wlt_";

/// A new text.
pub(crate) fn generate() -> Result<String, IdentityError> {
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()?)))
}

/// What is kept of a text. It has 256 random bits, so a fast hash does.
pub(crate) fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}
