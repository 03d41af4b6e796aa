//! `sluice uploads`: uploads that are not complete.

mod abort;
mod complete;
mod list;
mod live;
mod resume;
mod sign;

mod parts;

use clap::{Args, Subcommand};

use super::examples;
use crate::{display::DisplayArguments, exit::Exit, failure::Failure};

#[derive(Debug, Args)]
pub(crate) struct UploadsArguments {
    #[command(subcommand)]
    command: UploadsCommand,
}

#[derive(Debug, Subcommand)]
enum UploadsCommand {
    /// List uploads that can go on
    #[command(after_help = examples::UPLOADS_LS)]
    Ls(list::ListUploadsArguments),
    /// Go on with uploads that were begun here, or with another from a file
    #[command(after_help = examples::UPLOADS_RESUME)]
    Resume(resume::ResumeArguments),
    /// Print requests with which anybody can send parts over HTTP
    #[command(after_help = examples::UPLOADS_SIGN, long_about = sign::ABOUT)]
    Sign(sign::SignArguments),
    /// Make a file of parts that were sent over HTTP
    #[command(after_help = examples::UPLOADS_COMPLETE)]
    Complete(complete::CompleteArguments),
    /// Give uploads up and free their space
    #[command(after_help = examples::UPLOADS_ABORT)]
    Abort(abort::AbortArguments),
}

impl UploadsArguments {
    /// What the command prints, and how.
    pub(crate) fn display(&self) -> &DisplayArguments {
        match &self.command {
            UploadsCommand::Ls(arguments) => &arguments.display,
            UploadsCommand::Resume(arguments) => &arguments.display,
            UploadsCommand::Sign(arguments) => &arguments.display,
            UploadsCommand::Complete(arguments) => &arguments.display,
            UploadsCommand::Abort(arguments) => &arguments.display,
        }
    }

    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self.command {
            UploadsCommand::Ls(arguments) => arguments.run().await,
            UploadsCommand::Resume(arguments) => Box::pin(arguments.run()).await,
            UploadsCommand::Sign(arguments) => arguments.run().await,
            UploadsCommand::Complete(arguments) => arguments.run().await,
            UploadsCommand::Abort(arguments) => arguments.run().await,
        }
    }
}
