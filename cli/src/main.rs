//! The `sluice` command: the server and its client in one binary.

mod command;

use clap::{Parser, Subcommand};

/// Moves large files into storage without losing, corrupting or re-sending a
/// byte more than it must.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "serve")]
    Serve(command::serve::Serve),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        #[cfg(feature = "serve")]
        Command::Serve(serve) => serve.run().await,
    }
}
