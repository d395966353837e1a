//! When workloads run that run at set times.

use std::str::FromStr;

use croner::Cron;

use crate::driver::Error;

/// Five fields as in crontab(5), UTC.
pub(crate) fn parse(text: &str) -> Result<Cron, Error> {
    let fields = text.split_whitespace().count();
    let parsed = if fields == 5 { Cron::from_str(text).ok() } else { None };
    parsed.ok_or_else(|| {
        Error::Invalid(format!(
            "CRON_SCHEDULE is {text:?}: use five fields as in crontab(5), such as 0 * * * *"
        ))
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn schedules_have_five_fields() {
        for text in ["0 * * * *", "*/5 0-6 * * MON-FRI", "0 0 1 1 *"] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in ["", "* * * *", "* * * * * *", "61 * * * *", "@hourly", "a b c d e"] {
            let refused = parse(text).map(drop).unwrap_err();
            assert!(refused.to_string().contains("crontab"), "{text}: {refused}");
        }
    }
}
