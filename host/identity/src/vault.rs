//! Sealed secrets: XChaCha20-Poly1305 with a key that is not in the database.
//!
//! An envelope is `wls1.<key>.<text>`: the form's version, the id of the key, and the nonce with
//! the ciphertext in base64url. The context is authenticated with it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use crate::IdentityError;
use crate::keys::random;

const FORM: &str = "wls1";
const NONCE_BYTES: usize = 24;
const CONTEXT_BYTES: usize = 512;

/// Seals and opens.
pub(crate) struct Vault {
    /// The oldest first, with their ids.
    keys: Vec<(String, XChaCha20Poly1305)>,
}

impl Vault {
    pub(crate) fn new(keys: &[[u8; 32]]) -> Self {
        let keys = keys.iter().map(|key| {
            let id = hex::encode(&Sha256::digest(key)[..4]);
            (id, XChaCha20Poly1305::new(key.into()))
        });
        Self { keys: keys.collect() }
    }

    /// Seals a secret for one place of use.
    pub(crate) fn seal(&self, context: &str, plaintext: &[u8]) -> Result<String, IdentityError> {
        check_context(context)?;
        let (id, cipher) = self
            .keys
            .last()
            .ok_or_else(|| IdentityError::Unavailable("there is no key for secrets".into()))?;
        let nonce = random::<NONCE_BYTES>()?;
        let bound = bound(id, context);
        let payload = Payload { msg: plaintext, aad: &bound };
        let sealed = cipher
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| IdentityError::Unavailable("the secret was not sealed".into()))?;
        Ok(format!("{FORM}.{id}.{}", URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// Opens an envelope at its place of use.
    pub(crate) fn open(&self, context: &str, envelope: &str) -> Result<Vec<u8>, IdentityError> {
        let no_envelope = || IdentityError::Invalid("the envelope is malformed".into());
        let mut parts = envelope.split('.');
        let (Some(FORM), Some(id), Some(text), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(no_envelope());
        };
        let (_, cipher) = self.keys.iter().find(|(key, _)| key == id).ok_or_else(|| {
            IdentityError::Unavailable(format!("the key {id} of the envelope is not here"))
        })?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| no_envelope())?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or_else(no_envelope)?;
        let payload = Payload { msg: sealed, aad: &bound(id, context) };
        cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| {
            IdentityError::Invalid("the envelope was changed or belongs to another place".into())
        })
    }
}

/// What is authenticated along with the secret.
fn bound(key: &str, context: &str) -> Vec<u8> {
    format!("{FORM}.{key}.{context}").into_bytes()
}

fn check_context(context: &str) -> Result<(), IdentityError> {
    if context.is_empty() || context.len() > CONTEXT_BYTES {
        return Err(IdentityError::Invalid(format!("a context is of 1 to {CONTEXT_BYTES} bytes")));
    }
    Ok(())
}
