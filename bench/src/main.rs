//! Measures Sluice beside the limits of the machine it runs on, and beside other
//! upload servers.
//!
//! Every row is measured once in each round, in an order that is shuffled anew,
//! so that whatever else the machine does hits all rows alike. Only ratios
//! within one run mean anything.

mod bench;
mod case;
mod choices;
mod rounds;
mod rows;

mod limits;
mod peers;
mod process;
mod sluice;
mod storage;
mod usage;

mod report;
mod results;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

use crate::{
    choices::Choices,
    limits::tcp,
    report::Report,
    results::Results,
    sluice::{checked, discarding},
};

/// Measure Sluice beside the limits of this machine and other upload servers.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    choices: Choices,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the tables of earlier runs, which --json has stored
    Report {
        /// What --json wrote; several files make one report
        #[arg(required = true)]
        results: Vec<PathBuf>,
        /// Draw the medians into this file, as SVG
        #[arg(long, value_name = "FILE")]
        plot: Option<PathBuf>,
    },
    /// A server to measure against, as a process of its own
    #[command(subcommand, hide = true)]
    Serve(Serve),
}

#[derive(Debug, Subcommand)]
enum Serve {
    /// Reads and answers; with FILE it writes and syncs what it has read before that
    Tcp { file: Option<PathBuf> },
    /// Reads frames and checks their CRC32C
    Checked,
    /// Sluice, with records in this folder and bytes nowhere
    Discarding { data: PathBuf },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluice-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        // Whatever runs ends, and whatever was made is removed, also then.
        None => tokio::select! {
            done = rounds::run(arguments.choices) => done,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        },
        Some(Command::Report { results, plot }) => {
            Report::of(Results::load(&results)?).show(plot.as_deref())
        }
        Some(Command::Serve(Serve::Tcp { file })) => tcp::serve(file),
        Some(Command::Serve(Serve::Checked)) => checked::serve().await,
        Some(Command::Serve(Serve::Discarding { data })) => discarding::serve(data).await,
    }
}
