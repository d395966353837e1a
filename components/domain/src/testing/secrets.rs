//! Secrets without cryptography.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Result};
use crate::future::PortFuture;
use crate::secrets::{Connections, Sealed, Secrets};

/// Seals by turning the text around, so that it is not found in what it became, and makes
/// `secret-<n>`.
#[derive(Debug, Default)]
pub struct FakeSecrets(AtomicU32);

impl FakeSecrets {
    /// What is in an envelope that was sealed in this context.
    pub fn open(&self, context: &str, envelope: &str) -> Option<String> {
        let sealed = envelope.strip_prefix("sealed<")?.strip_prefix(context)?.strip_prefix(">")?;
        Some(sealed.chars().rev().collect())
    }
}

impl Secrets for FakeSecrets {
    fn seal<'a>(&'a self, context: &'a str, plaintext: &'a str) -> PortFuture<'a, Result<String>> {
        let turned: String = plaintext.chars().rev().collect();
        Box::pin(async move { Ok(format!("sealed<{context}>{turned}")) })
    }

    fn generate<'a>(&'a self, context: &'a str) -> PortFuture<'a, Result<String>> {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Box::pin(async move { self.seal(context, &format!("secret-{number}")).await })
    }
}

impl Connections for FakeSecrets {
    fn render(&self, url: &str, password: &Sealed) -> Result<String> {
        let Sealed { placeholder, context, envelope } = password;
        let secret = self.open(context, envelope);
        let fault = || Error::internal_fault("the envelope belongs to another place");
        Ok(url.replace(placeholder, &secret.ok_or_else(fault)?))
    }
}
