//! Secrets in descriptions of workloads and jobs: opened here, when one is started, and nowhere
//! kept. What asks for the workload has only placeholders and envelopes.

use std::sync::Arc;

use crate::capability::Secrets;
use crate::driver::{Error, Health, Workload};
use crate::job::Job;

/// A secret in its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// What stands in its place, in braces.
    pub placeholder: String,
    /// The place of use it was sealed for.
    pub context: String,
    /// The envelope.
    pub envelope: String,
}

/// The most characters of a placeholder: a word and the name of a variable.
const PLACEHOLDER_LENGTH: usize = 300;
/// The most secrets of one workload: its variables, of which there are 200, and a few of its own.
const MOST_SECRETS: usize = 210;

/// Secrets by their placeholders.
pub(crate) struct Opened(Vec<(String, String)>);

impl Opened {
    pub(crate) fn open(
        opener: Option<&Arc<dyn Secrets>>,
        sealed: &[Sealed],
    ) -> Result<Self, Error> {
        if sealed.is_empty() {
            return Ok(Self(Vec::new()));
        }
        if sealed.len() > MOST_SECRETS {
            return Err(Error::Invalid(format!("there may be at most {MOST_SECRETS} secrets")));
        }
        let opener = opener
            .ok_or_else(|| Error::Unavailable("this host has no keys for secrets".to_owned()))?;
        let open = |sealed: &Sealed| {
            let placeholder = sealed.placeholder.clone();
            if !is_placeholder(&placeholder) {
                return Err(Error::Invalid(format!(
                    "{placeholder:?} is no placeholder: use 3 to {PLACEHOLDER_LENGTH} characters \
                     in braces"
                )));
            }
            let secret = opener.open(&sealed.context, &sealed.envelope).map_err(Error::Invalid)?;
            let secret = String::from_utf8(secret)
                .map_err(|_| Error::Invalid(format!("the secret of {placeholder} is no text")))?;
            Ok((placeholder, secret))
        };
        sealed.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Puts the secrets into a workload.
    pub(crate) fn fill_workload(&self, workload: &mut Workload) {
        let variables = workload.variables.iter_mut().map(|(_, value)| value);
        let health = match &mut workload.health {
            Health::Command(command) => command.as_mut_slice(),
            Health::Http | Health::Unasked => &mut [],
        };
        for text in variables.chain(&mut workload.command).chain(health) {
            *text = self.filled(text);
        }
    }

    /// Puts the secrets into a job.
    pub(crate) fn fill_job(&self, job: &mut Job) {
        let variables = job.variables.iter_mut().map(|(_, value)| value);
        for text in variables.chain(&mut job.command) {
            *text = self.filled(text);
        }
    }

    /// What a secret says is not read again, whatever it looks like.
    fn filled(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(place) = rest.find('{') {
            let (before, from) = rest.split_at(place);
            filled.push_str(before);
            match self.0.iter().find(|(placeholder, _)| from.starts_with(placeholder)) {
                Some((placeholder, secret)) => {
                    filled.push_str(secret);
                    rest = from.get(placeholder.len()..).unwrap_or_default();
                }
                None => {
                    filled.push('{');
                    rest = from.get(1..).unwrap_or_default();
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}

fn is_placeholder(text: &str) -> bool {
    (3..=PLACEHOLDER_LENGTH).contains(&text.len()) && text.starts_with('{') && text.ends_with('}')
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// Opens `context=secret` at its context.
    struct Plain;

    impl Secrets for Plain {
        fn open(&self, context: &str, envelope: &str) -> Result<Vec<u8>, String> {
            let secret = envelope.strip_prefix(&format!("{context}="));
            Ok(secret.ok_or("it belongs to another place")?.as_bytes().to_vec())
        }
    }

    fn sealed(placeholder: &str, envelope: &str) -> Sealed {
        Sealed {
            placeholder: placeholder.to_owned(),
            context: "here".to_owned(),
            envelope: envelope.to_owned(),
        }
    }

    fn opened(sealed: &[Sealed]) -> Result<Opened, Error> {
        let opener: Arc<dyn Secrets> = Arc::new(Plain);
        Opened::open(Some(&opener), sealed)
    }

    #[test]
    fn secrets_take_the_place_of_their_placeholders_and_are_not_read_again() {
        let secrets = [sealed("{password}", "here={user}"), sealed("{user}", "here=ada")];
        let opened = opened(&secrets).unwrap();
        let check = |text: &str, expected: &str| assert_eq!(opened.filled(text), expected);
        check("", "");
        check("{password}", "{user}");
        check("a {user}, {{user}} and {nobody}", "a ada, {ada} and {nobody}");
        check("--eval=db.adminCommand({ping: 1})", "--eval=db.adminCommand({ping: 1})");
        check("{", "{");
    }

    #[test]
    fn what_cannot_be_opened_starts_nothing() {
        let check = |sealed: Sealed, says: &str| {
            let refused = opened(&[sealed]).err().unwrap();
            assert!(refused.to_string().contains(says), "{refused}");
        };
        check(sealed("{password}", "there=x"), "another place");
        check(sealed("password", "here=x"), "no placeholder");
        check(sealed("{}", "here=x"), "no placeholder");
        assert!(Opened::open(None, &[sealed("{password}", "here=x")]).is_err());
        assert!(Opened::open(None, &[]).is_ok());
    }
}
