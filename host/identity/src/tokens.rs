//! Signed bearer tokens: JSON Web Tokens with EdDSA, and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::IdentityError;

/// Who issues the tokens.
const ISSUER: &str = "windlass";
/// Longer texts are no tokens of ours.
const TEXT_BYTES: usize = 4_096;
/// Tokens whose signature is remembered as verified.
const VERIFIED_TOKENS: u64 = 20_000;

/// What a token says.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    jti: String,
    /// Seconds, as the standard has it.
    iat: i64,
    /// The same in microseconds, so that a token issued in the second of a revocation is told
    /// from one issued before it.
    iat_us: i64,
    exp: i64,
}

/// A token whose signature holds.
#[derive(Clone)]
pub(crate) struct Verified {
    pub(crate) subject: Arc<str>,
    pub(crate) token_id: Arc<str>,
    pub(crate) issued_at_us: i64,
    pub(crate) expires_at_us: i64,
}

/// Signs and verifies.
pub(crate) struct Tokens {
    key_id: String,
    signing: EncodingKey,
    verifying: HashMap<String, DecodingKey>,
    validation: Validation,
    verified: Cache<Arc<str>, Verified>,
}

impl Tokens {
    /// With the keys, the oldest first.
    pub(crate) fn new(keys: &[SigningKey]) -> Result<Self, IdentityError> {
        let newest = keys
            .last()
            .ok_or_else(|| IdentityError::Unavailable("there is no token key".into()))?;
        let encoded = newest.to_pkcs8_der().map_err(|error| {
            IdentityError::Unavailable(format!("the token key cannot be used: {error}"))
        })?;
        let verifying = keys
            .iter()
            .map(|key| (key_id(key), DecodingKey::from_ed_der(key.verifying_key().as_bytes())));
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = 0;
        // Checked against our own clock, for tokens remembered as verified too.
        validation.validate_exp = false;
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        Ok(Self {
            key_id: key_id(newest),
            signing: EncodingKey::from_ed_der(encoded.as_bytes()),
            verifying: verifying.collect(),
            validation,
            verified: Cache::new(VERIFIED_TOKENS),
        })
    }

    /// Signs a token. The moments are microseconds since the Unix epoch.
    pub(crate) fn issue(
        &self,
        subject: &str,
        token_id: &str,
        issued_at_us: i64,
        lifetime_seconds: u64,
    ) -> Result<String, IdentityError> {
        let issued_at = issued_at_us / 1_000_000;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: subject.to_owned(),
            jti: token_id.to_owned(),
            iat: issued_at,
            iat_us: issued_at_us,
            exp: issued_at.saturating_add_unsigned(lifetime_seconds),
        };
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &self.signing)
            .map_err(|error| IdentityError::Unavailable(format!("no token was signed: {error}")))
    }

    /// Verifies a token's signature, once. Whether it is revoked is left to the caller.
    pub(crate) fn verify(&self, text: &str, now_us: i64) -> Result<Verified, &'static str> {
        let verified = match self.verified.get(text) {
            Some(verified) => verified,
            None => {
                let verified = self.verify_signature(text)?;
                self.verified.insert(text.into(), verified.clone());
                verified
            }
        };
        if now_us >= verified.expires_at_us {
            self.verified.invalidate(text);
            return Err("the token has expired");
        }
        Ok(verified)
    }

    fn verify_signature(&self, text: &str) -> Result<Verified, &'static str> {
        const MALFORMED: &str = "the token is malformed";
        const FOREIGN: &str = "the token was not issued here";
        if text.len() > TEXT_BYTES {
            return Err(MALFORMED);
        }
        let header = jsonwebtoken::decode_header(text).map_err(|_| MALFORMED)?;
        let key = header.kid.and_then(|kid| self.verifying.get(&kid)).ok_or(FOREIGN)?;
        let claims = jsonwebtoken::decode::<Claims>(text, key, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature
                | ErrorKind::InvalidIssuer
                | ErrorKind::InvalidAlgorithm => FOREIGN,
                _ => MALFORMED,
            })?
            .claims;
        Ok(Verified {
            subject: claims.sub.into(),
            token_id: claims.jti.into(),
            issued_at_us: claims.iat_us,
            expires_at_us: claims.exp.saturating_mul(1_000_000),
        })
    }
}

/// Names a key in the header of a token.
fn key_id(key: &SigningKey) -> String {
    hex::encode(&Sha256::digest(key.verifying_key().as_bytes())[..8])
}
