//! The JSON shapes of this surface. All fields of a schema are always there; what is unset is an
//! empty text. The exception are enumerations and times, whose schemas have no empty word: they are
//! left out while unset.

mod audit;
mod builds;
mod databases;
mod deployments;
mod git;
mod logs;
mod projects;
mod services;
mod templates;
mod users;

pub use audit::{AuditLogListView, AuditLogView};
pub use builds::{BuildCancelView, BuildListView, BuildStatusView, StartBuildView};
pub use databases::{
    DatabaseActionView, DatabaseBackupCreatedView, DatabaseCreatedView, DatabaseView,
    DatabasesView, MessageView,
};
pub use deployments::{DeploymentView, DeploymentsView, RollbackView, WrappedDeploymentView};
pub use git::{GitProviderView, GitRepositoryView};
pub use logs::{DeploymentLogsView, LogEntryView, ServiceLogsView};
pub use projects::{PaginationView, ProjectView, ProjectsView};
pub use services::{BuildConfigView, ResourceConfigView, ServiceSourceView, ServiceView};
pub use templates::{DeployTemplateView, ServiceTemplateView, TemplateDetailView, TemplatesView};
pub use users::{LoginView, UserView};

use std::fmt;

use serde::{Serialize, Serializer};
use windlass_domain::Timestamp;

/// RFC 3339 in UTC with a `Z` and microseconds, as `2026-01-31T23:59:59.000001Z`.
///
/// Written out here because this is all that is needed of a calendar: a date library adds some
/// 60 KB to each component.
pub(crate) struct Time(Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: i64 = 24 * 60 * 60;
        let microseconds = self.0.microseconds();
        let (seconds, fraction) =
            (microseconds.div_euclid(1_000_000), microseconds.rem_euclid(1_000_000));
        let (year, month, day) = civil_date(seconds.div_euclid(DAY));
        let second = seconds.rem_euclid(DAY);
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{fraction:06}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// A moment as this surface writes it.
pub fn time(moment: Timestamp) -> impl fmt::Display {
    Time(moment)
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Year, month and day of a number of days since 1970-01-01 in the Gregorian calendar. Years are
/// counted from March, so that the day that comes and goes is the last one; 400 years have 146,097
/// days and repeat.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Ids and other things that are written as they are displayed.
pub(crate) struct Text<T>(T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn times_are_written_as_a_date_library_writes_them() {
        let check = |microseconds: i64| {
            let expected = jiff::Timestamp::from_microsecond(microseconds).unwrap();
            let written = Time(Timestamp::from_microseconds(microseconds)).to_string();
            assert_eq!(written, format!("{expected:.6}"), "{microseconds}");
        };
        // Every day of 800 years at another time of the day, around every kind of leap year.
        for day in -140_000..150_000_i64 {
            check(day * 86_400_000_000 + (day * 7_919_000_003).rem_euclid(86_400_000_000));
        }
        for microseconds in [0, -1, 1, 951_782_399_999_999, 951_782_400_000_000] {
            check(microseconds);
        }
    }
}
