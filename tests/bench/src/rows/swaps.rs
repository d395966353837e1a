//! How long a swap takes through the management listener, with code that was compiled before,
//! and what it does to the requests that run meanwhile.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::Plan;
use crate::connection::Request;
use crate::host::Setup;
use crate::load::Trickle;
use crate::machine::Cores;
use crate::manifests;
use crate::table::{Row, Target, percentile};

/// Swaps before any is timed: both builds are compiled and cached by then.
const WARM_UP: usize = 4;
/// Requests a second while it is swapped, and the connections they come from.
const RATE: u32 = 200;
const CONNECTIONS: u32 = 4;

/// Swaps a controller between two builds under load.
pub(crate) async fn swaps(plan: &Plan) -> Result<Vec<Row>> {
    let setup = Setup::new(&manifests::hello("greeter_a")?)?;
    let host = setup.start(Cores::Server)?;
    let releases = [release("greeter_b")?, release("greeter_a")?];
    for body in releases.iter().cycle().take(WARM_UP) {
        host.manage("POST", "/v1/releases", body).await?;
    }
    let load = Trickle::start(host.address(), Request::get("/hello", None), CONNECTIONS, RATE);
    let (mut outside, mut inside) = (Vec::new(), Vec::new());
    for body in releases.iter().cycle().take(plan.swaps) {
        let began = Instant::now();
        let report = host.manage("POST", "/v1/releases", body).await?;
        outside.push(began.elapsed().as_secs_f64() * 1_000.0);
        inside.push(report["milliseconds"].as_f64().context("a release says how long it took")?);
    }
    let outcome = load.finish().await;
    let row = |what: &str, percent| Row {
        what: what.to_owned(),
        figure: format!("{:.1} ms", percentile(outside.iter().copied(), percent)),
        from: format!(
            "{} swaps; {:.1} ms of it within the host",
            plan.swaps,
            percentile(inside.iter().copied(), percent)
        ),
        target: None,
    };
    Ok(vec![
        row("swap, half of them within", 50.0),
        row("swap, 99 of 100 within", 99.0),
        Row {
            what: "failed requests during swaps".to_owned(),
            figure: outcome.failed.to_string(),
            from: format!(
                "{} requests, {:.0}/s",
                outcome.answered + outcome.failed,
                outcome.rate()
            ),
            target: Target::at_most("0", outcome.failed as f64, 0.0),
        },
    ])
}

fn release(fixture: &str) -> Result<Value> {
    let wasm = STANDARD.encode(fs::read(manifests::fixture(fixture)?)?);
    Ok(json!({ "components": [{ "id": "hello", "wasm": wasm }] }))
}
