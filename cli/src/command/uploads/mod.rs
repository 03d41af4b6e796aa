//! `sluice uploads`: uploads that are not complete.

mod abort;
mod list;
mod live;

use clap::{Args, Subcommand};

use crate::{display::DisplayArguments, exit::Exit, failure::Failure};

#[derive(Debug, Args)]
pub(crate) struct UploadsArguments {
    #[command(subcommand)]
    command: UploadsCommand,
}

#[derive(Debug, Subcommand)]
enum UploadsCommand {
    /// List uploads that can go on
    Ls(list::ListUploadsArguments),
    /// Give uploads up and free their space
    Abort(abort::AbortArguments),
}

impl UploadsArguments {
    /// What the command prints, and how.
    pub(crate) fn display(&self) -> &DisplayArguments {
        match &self.command {
            UploadsCommand::Ls(arguments) => &arguments.display,
            UploadsCommand::Abort(arguments) => &arguments.display,
        }
    }

    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self.command {
            UploadsCommand::Ls(arguments) => arguments.run().await,
            UploadsCommand::Abort(arguments) => arguments.run().await,
        }
    }
}
