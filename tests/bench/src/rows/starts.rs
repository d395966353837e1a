//! From the start of the process to its first answer of 200, on all cores: cold, with nothing in
//! the data directory, and warm, with the database and the compiled code there.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;
use toml::Table;

use crate::Plan;
use crate::host::Setup;
use crate::machine::Cores;
use crate::manifests;
use crate::table::{Row, Target, median};

/// Controllers of the larger map.
pub(crate) const MANY: usize = 40;

/// Cold and warm starts with the controllers of `spin.toml`, and with [`MANY`].
pub(crate) async fn starts(plan: &Plan) -> Result<Vec<Row>> {
    let shipped = manifests::shipped()?;
    let few = shipped["component"].as_table().map_or(0, Table::len);
    let (cold, warm) = measure(&shipped, plan.starts).await?;
    let row = |what: String, figure: f64, from: &str, target| Row {
        what,
        figure: format!("{figure:.2} s"),
        from: from.to_owned(),
        target,
    };
    let mut rows = vec![
        row(format!("cold start, {few} controllers"), cold, "empty data directory", None),
        row(format!("warm start, {few} controllers"), warm, "compiled code cached", None),
    ];
    let copies = TempDir::with_prefix("windlass-bench-")?;
    let many = manifests::many(MANY, copies.path())?;
    let (cold, warm) = measure(&many, plan.starts.div_ceil(2)).await?;
    let distinct = "all files differ";
    rows.push(row(
        format!("cold start, {MANY} controllers"),
        cold,
        distinct,
        Target::at_most("<= 20 s", cold, 20.0),
    ));
    rows.push(row(
        format!("warm start, {MANY} controllers"),
        warm,
        distinct,
        Target::at_most("<= 1 s", warm, 1.0),
    ));
    Ok(rows)
}

/// Seconds of a cold start and of a warm one, medians of so many.
async fn measure(manifest: &Table, times: usize) -> Result<(f64, f64)> {
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    let setup = Setup::new(manifest)?;
    for _ in 0..times {
        if setup.data().exists() {
            fs::remove_dir_all(setup.data())?;
        }
        cold.push(start(&setup).await?.as_secs_f64());
        for _ in 0..2 {
            warm.push(start(&setup).await?.as_secs_f64());
        }
    }
    Ok((median(cold), median(warm)))
}

/// One start, and an orderly end.
async fn start(setup: &Setup) -> Result<Duration> {
    let host = setup.start(Cores::All)?;
    host.check_health().await?;
    let time = host.process.began.elapsed();
    host.process.stop()?;
    Ok(time)
}
