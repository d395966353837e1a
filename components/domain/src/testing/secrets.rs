//! Secrets without cryptography.

use crate::error::Result;
use crate::future::PortFuture;
use crate::secrets::Secrets;

/// Seals by turning the text around, so that it is not found in what it became.
#[derive(Debug, Default)]
pub struct FakeSecrets;

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
}
