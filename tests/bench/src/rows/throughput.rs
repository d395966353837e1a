//! Requests a second, side by side: rounds of load on one server after the other, the others
//! stopped in their tracks meanwhile, again and again.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::Plan;
use crate::connection::{Request, ask};
use crate::host::{Host, Setup, expect};
use crate::load::{Round, closed_loop};
use crate::machine::Cores;
use crate::manifests;
use crate::process::{Announcement, Process};
use crate::table::{Row, Target, median};

const PROJECTS: &str = "/api/v1/projects";

/// A server, what it is asked, and what came of it.
pub(crate) struct Contender {
    name: &'static str,
    process: Process,
    request: Request,
    rounds: Vec<Round>,
}

impl Contender {
    pub(crate) fn new(name: &'static str, process: Process, request: Request) -> Self {
        Self { name, process, request, rounds: Vec::new() }
    }

    pub(crate) fn of_host(name: &'static str, host: Host, request: Request) -> Self {
        Self::new(name, host.process, request)
    }

    fn rate(&self) -> f64 {
        median(self.rounds.iter().map(Round::rate))
    }

    fn microseconds_each(&self) -> f64 {
        median(self.rounds.iter().map(Round::microseconds_each))
    }

    fn failed(&self) -> u64 {
        self.rounds.iter().map(|round| round.failed).sum()
    }

    /// How many times as many requests a second as another, as the median of the rounds that
    /// ran one after the other.
    fn against(&self, other: &Self) -> f64 {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.map(|(own, others)| own.rate() / others.rate()))
    }

    /// A row that compares with another.
    pub(crate) fn row(
        &self,
        what: &str,
        other: &Self,
        text: &'static str,
        least: Option<f64>,
    ) -> Row {
        let ratio = self.against(other);
        let by_core = other.microseconds_each() / self.microseconds_each();
        let failed = match self.failed() {
            0 => String::new(),
            failed => format!("; {failed} FAILED"),
        };
        Row {
            what: what.to_owned(),
            figure: format!("{ratio:.2}x"),
            from: format!(
                "{:.0}/s against {:.0}/s of {}; {:.0} us of the core each against {:.0} us \
                 ({by_core:.2}x){failed}",
                self.rate(),
                other.rate(),
                other.name,
                self.microseconds_each(),
                other.microseconds_each(),
            ),
            target: least.and_then(|least| {
                // A failed request is no throughput. Where the load is the limit, the rates say
                // too little of the faster server, and the time on the core says it all.
                let ratio = if self.failed() == 0 { ratio.min(by_core) } else { 0.0 };
                Target::at_least(text, ratio, least)
            }),
        }
    }
}

/// The list of projects: reused and fresh instances against a native server.
pub(crate) async fn projects(plan: &Plan) -> Result<Vec<Row>> {
    let reused = Setup::new(&manifests::shipped()?)?;
    let seeded = reused.start(Cores::Server)?;
    let token = seeded.seed().await?;
    seeded.process.stop()?;
    let fresh = Setup::with_data_of(&reused, &manifests::fresh_instances()?)?;
    let native = Setup::with_data_of(&reused, &manifests::shipped()?)?;
    let request = || Request::get(PROJECTS, Some(&token));
    let native = |name, arguments: &[&str]| -> Result<Contender> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("native").arg(native.data()).args(arguments);
        let process = Process::start(command, Announcement::Own, Cores::Server)?;
        Ok(Contender::new(name, process, request()))
    };
    let mut contenders = [
        native("axum + sqlx", &[])?,
        native("axum + sqlx remembering tokens", &["--remember"])?,
        Contender::of_host("windlass", reused.start(Cores::Server)?, request()),
        Contender::of_host("windlass, fresh instances", fresh.start(Cores::Server)?, request()),
    ];
    check_same_answers(&contenders).await?;
    compete(plan, &mut contenders).await?;
    let [native, remembering, reused, fresh] = &contenders;
    Ok(vec![
        reused.row("list of 20 projects, reused instance", native, ">= 1.0x", Some(1.0)),
        fresh.row("list of 20 projects, fresh instance", native, ">= 0.6x", Some(0.6)),
        reused.row("  reused, the native one remembering tokens", remembering, "", None),
        fresh.row("  fresh, the native one remembering tokens", remembering, "", None),
    ])
}

/// Every server must answer the same page, and no page without a token.
async fn check_same_answers(contenders: &[Contender]) -> Result<()> {
    let mut first: Option<Value> = None;
    for contender in contenders {
        let address = contender.process.address;
        let page = expect(address, &contender.request, 200, contender.name).await?;
        if page["projects"].as_array().map(Vec::len) != Some(crate::host::PROJECTS) {
            bail!("{} lists other projects: {page}", contender.name);
        }
        if *first.get_or_insert_with(|| page.clone()) != page {
            bail!("{} answers otherwise than {}: {page}", contender.name, contenders[0].name);
        }
        let refused = ask(address, &Request::get(PROJECTS, None)).await?;
        if refused.status != 401 {
            bail!("{} answers {} without a token", contender.name, refused.status);
        }
    }
    Ok(())
}

/// A component that says hello, against a hyper server that does and against `wasmtime serve`.
pub(crate) async fn hello(plan: &Plan) -> Result<Vec<Row>> {
    let lean = Setup::new(&manifests::hello("hello")?)?;
    let general = Setup::new(&manifests::hello("greeter_a")?)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("hello");
    let request = || Request::get("/hello", None);
    let hyper = Process::start(command, Announcement::Own, Cores::Server)?;
    let mut contenders = vec![
        Contender::of_host("windlass", lean.start(Cores::Server)?, request()),
        Contender::of_host("windlass, spin-sdk's macro", general.start(Cores::Server)?, request()),
        Contender::new("hyper", hyper, request()),
    ];
    let wasmtime = wasmtime();
    if let Some(program) = &wasmtime {
        let mut command = Command::new(program);
        command.args(["serve", "--addr", "127.0.0.1:0", "-Sp3,cli", "-Wcomponent-model-async"]);
        command.arg(manifests::fixture("hello")?);
        let process = Process::start(command, Announcement::Wasmtime, Cores::Server)?;
        contenders.push(Contender::new("wasmtime serve", process, request()));
    }
    for contender in &contenders {
        let answer = ask(contender.process.address, &contender.request).await?;
        if (answer.status, answer.body.as_slice()) != (200, b"a") {
            bail!("{} answers {} to the hello", contender.name, answer.status);
        }
    }
    compete(plan, &mut contenders).await?;
    let (own, general, hyper) = (&contenders[0], &contenders[1], &contenders[2]);
    let mut rows = vec![
        own.row("hello component against hyper", hyper, ">= 0.5x", Some(0.5)),
        general.row("  the same, written with spin-sdk's macro", hyper, "", None),
    ];
    rows.push(match contenders.get(3) {
        Some(other) => {
            own.row("hello component against wasmtime serve", other, ">= 1.0x", Some(1.0))
        }
        None => Row {
            what: "hello component against wasmtime serve".to_owned(),
            figure: "not measured".to_owned(),
            from: "target/tools/bin/wasmtime is missing; tools/wasmtime builds it".to_owned(),
            target: None,
        },
    });
    Ok(rows)
}

/// The program `wasmtime`, where `make` puts tools.
fn wasmtime() -> Option<PathBuf> {
    Some(manifests::checkout().join("target/tools/bin/wasmtime")).filter(|path| path.exists())
}

/// Rounds of load on each in turn, after one to warm up.
pub(crate) async fn compete(plan: &Plan, contenders: &mut [Contender]) -> Result<()> {
    for contender in contenders.iter() {
        contender.process.pause()?;
    }
    for round in 0..=plan.rounds {
        for contender in contenders.iter_mut() {
            let process = &contender.process;
            process.resume()?;
            let (address, id) = (process.address, process.id());
            let outcome = closed_loop(address, id, &contender.request, plan.round).await?;
            process.pause()?;
            if round > 0 {
                contender.rounds.push(outcome);
            }
        }
    }
    Ok(())
}
