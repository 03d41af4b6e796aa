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
mod process;
mod sluice;
mod usage;

mod report;
mod results;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{choices::Choices, limits::tcp, report::Report, results::Results};

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
    },
    /// A server to measure against, as a process of its own
    #[command(subcommand, hide = true)]
    Serve(Serve),
}

#[derive(Debug, Subcommand)]
enum Serve {
    /// Reads and answers; with FILE it writes and syncs what it has read before that
    Tcp { file: Option<PathBuf> },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        None => rounds::run(arguments.choices).await,
        Some(Command::Report { results }) => {
            println!("{}", Report::of(Results::load(&results)?));
            Ok(())
        }
        Some(Command::Serve(Serve::Tcp { file })) => tcp::serve(file),
    }
}
