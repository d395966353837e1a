//! The `windlass` binary: it reads the configuration, wires the host together and serves, or
//! talks to a host that does.

mod builds;
mod command;
mod commands;
mod configuration;
mod credentials;
mod data;
mod images;
mod installed;
mod management;
mod pages;
mod printer;
mod records;
mod runtime;
mod serve;
mod source;
mod telemetry;
mod tls;
mod vault;

use std::process::ExitCode;

use clap::Parser;

/// Requests allocate much and briefly, on whatever thread they happen to run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = command::Windlass::parse();
    match command.run() {
        Ok(code) => code,
        Err(error) => {
            printer::error(&error);
            ExitCode::FAILURE
        }
    }
}
