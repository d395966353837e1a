//! `Database` and the answers around it.

use serde::Serialize;
use windlass_domain::databases::{
    Backup, BackupStatus, Database, DatabaseDetail, DatabaseStatus, Demand, backups,
};
use windlass_domain::ids::{BackupId, DatabaseId};
use windlass_domain::measurements::Usage;

use super::{Text, Time};

/// `MessageResponse`.
#[derive(Serialize)]
pub struct MessageView {
    message: &'static str,
}

impl MessageView {
    /// What was done, in a few words.
    pub fn new(message: &'static str) -> Self {
        Self { message }
    }
}

/// `Database`. Metrics are left out where nobody counts: while it does not run, and in lists.
#[derive(Serialize)]
pub struct DatabaseView<'a> {
    id: Text<DatabaseId>,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    connection_url: &'a str,
    version: &'a str,
    plan: &'static str,
    region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<DatabaseMetricsView>,
    backups: DatabaseBackupConfigView,
    settings: DatabaseSettingsView,
    created_at: Time,
    updated_at: Time,
}

/// `DatabaseMetrics`: shares of what the plan gives, in percent, and mebibytes since it was started.
/// What nobody counts is left out.
#[derive(Serialize)]
struct DatabaseMetricsView {
    cpu: f64,
    memory: f64,
    network_in: f64,
    network_out: f64,
}

/// `DatabaseBackupConfig`. Backups are made when they are asked for, so that none is next.
#[derive(Serialize)]
struct DatabaseBackupConfigView {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_backup: Option<Time>,
    retention: i64,
    backups: Vec<DatabaseBackupView>,
}

/// `DatabaseBackup`.
#[derive(Serialize)]
struct DatabaseBackupView {
    id: Text<BackupId>,
    created_at: Time,
    size: String,
    status: &'static str,
}

/// `DatabaseSettings`. How many connections there may be is left out where the engine is not told.
#[derive(Serialize)]
struct DatabaseSettingsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<u32>,
    timeout: u32,
    ssl: bool,
    logging: bool,
}

impl<'a> DatabaseView<'a> {
    /// A database with what it takes of the machine, where that is known.
    pub fn new(detail: &'a DatabaseDetail, usage: Option<&Usage>) -> Self {
        let database = &detail.database;
        Self {
            id: Text(database.id),
            name: &database.name,
            kind: database.engine.as_str(),
            status: status(database),
            connection_url: &detail.connection_url,
            version: &database.version,
            plan: database.plan.as_str(),
            region: &database.region,
            metrics: usage.map(|usage| metrics(database, usage)),
            backups: DatabaseBackupConfigView::new(&detail.backups),
            settings: DatabaseSettingsView::new(database),
            created_at: Time(database.created_at),
            updated_at: Time(database.updated_at),
        }
    }
}

impl DatabaseBackupConfigView {
    fn new(backups: &[Backup]) -> Self {
        let completed = backups.iter().filter(|backup| backup.status == BackupStatus::Completed);
        Self {
            enabled: false,
            last_backup: completed.filter_map(|backup| backup.completed_at).max().map(Time),
            retention: backups::KEPT,
            backups: backups.iter().map(DatabaseBackupView::from).collect(),
        }
    }
}

impl From<&Backup> for DatabaseBackupView {
    fn from(backup: &Backup) -> Self {
        Self {
            id: Text(backup.id),
            created_at: Time(backup.created_at),
            size: size(backup.size_bytes),
            status: backup.status.as_str(),
        }
    }
}

impl DatabaseSettingsView {
    fn new(database: &Database) -> Self {
        let specification = database.engine.specification();
        let bounds = specification.bounds_connections;
        Self {
            max_connections: bounds.then(|| database.plan.max_connections()),
            timeout: specification.idle_timeout_seconds,
            // It is reached on the machine itself, without encryption, and what it prints is kept.
            ssl: false,
            logging: true,
        }
    }
}

/// `DatabaseListResponse`.
#[derive(Serialize)]
pub struct DatabasesView<'a> {
    databases: Vec<DatabaseView<'a>>,
}

impl<'a> From<&'a [DatabaseDetail]> for DatabasesView<'a> {
    fn from(found: &'a [DatabaseDetail]) -> Self {
        Self { databases: found.iter().map(|detail| DatabaseView::new(detail, None)).collect() }
    }
}

/// `DatabaseCreateResponse`.
#[derive(Serialize)]
pub struct DatabaseCreatedView {
    id: Text<DatabaseId>,
    message: &'static str,
    status: &'static str,
}

impl From<&Database> for DatabaseCreatedView {
    fn from(database: &Database) -> Self {
        let message = "Database provisioning started";
        Self { id: Text(database.id), message, status: status(database) }
    }
}

/// `DatabaseActionResponse`.
#[derive(Serialize)]
pub struct DatabaseActionView {
    message: &'static str,
    status: &'static str,
}

impl DatabaseActionView {
    /// What was asked for, and how the database is now.
    pub fn new(database: &Database, demand: Demand) -> Self {
        let message = match demand {
            Demand::Start => "Database start initiated",
            Demand::Stop => "Database stop initiated",
            Demand::Restart => "Database restart initiated",
        };
        Self { message, status: status(database) }
    }
}

/// `DatabaseBackupCreateResponse`.
#[derive(Serialize)]
pub struct DatabaseBackupCreatedView {
    backup_id: Text<BackupId>,
    message: &'static str,
    status: &'static str,
}

impl From<&Backup> for DatabaseBackupCreatedView {
    fn from(backup: &Backup) -> Self {
        let message = "Database backup started";
        Self { backup_id: Text(backup.id), message, status: backup.status.as_str() }
    }
}

/// This surface's words.
fn status(database: &Database) -> &'static str {
    match database.status {
        DatabaseStatus::Running => "running",
        DatabaseStatus::Stopped => "stopped",
        DatabaseStatus::Building => "building",
        DatabaseStatus::Error => "error",
    }
}

#[expect(clippy::cast_precision_loss, reason = "the figures are shown to two decimals")]
fn metrics(database: &Database, usage: &Usage) -> DatabaseMetricsView {
    let percent = |part: f64, whole: f64| (part / whole.max(1.0) * 10_000.0).round() / 100.0;
    let mebibytes = |bytes: u64| (bytes as f64 / f64::from(1 << 20) * 100.0).round() / 100.0;
    let plan = database.plan;
    DatabaseMetricsView {
        cpu: percent(usage.cpu_millis.into(), plan.cpu_millis().into()),
        memory: percent(usage.memory_bytes as f64, plan.memory_bytes() as f64),
        network_in: mebibytes(usage.network_received_bytes),
        network_out: mebibytes(usage.network_sent_bytes),
    }
}

/// `1.25 MB`, with two decimals above a kilobyte, in steps of 1024.
#[expect(clippy::cast_precision_loss, reason = "the size is shown to two decimals")]
fn size(bytes: i64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    for unit in ["KB", "MB", "GB"] {
        // 1023.996 would be written as 1024.00.
        if size < 1023.995 {
            return format!("{size:.2} {unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.2} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_for_people() {
        let check = |bytes: i64, expected: &str| assert_eq!(size(bytes), expected, "{bytes}");
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.00 KB");
        check(1_048_575, "1.00 MB");
        check(1_310_720, "1.25 MB");
        check(3 << 30, "3.00 GB");
        check(i64::MAX, "8388608.00 TB");
    }
}
