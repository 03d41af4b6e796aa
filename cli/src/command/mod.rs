//! The commands: one file each.

#[cfg(feature = "serve")]
mod serve;

mod download;
mod sync;
mod upload;

mod cat;
mod list;
mod remove;
mod rename;
mod sign;
mod stat;
mod uploads;
mod verify;
mod watch;

use clap::Subcommand;

use crate::{display::DisplayArguments, exit::Exit, failure::Failure};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a server on this machine
    #[cfg(feature = "serve")]
    Serve(serve::ServeArguments),
    /// Upload files, folders or standard input
    #[command(visible_alias = "put")]
    Upload(upload::UploadArguments),
    /// Download files or folders
    #[command(visible_alias = "get")]
    Download(download::DownloadArguments),
    /// Make a folder here and a folder on the server equal
    #[command(after_long_help = sync::HELP)]
    Sync(sync::SyncArguments),
    /// List files
    Ls(list::ListArguments),
    /// Show what is known about a file
    Stat(stat::StatArguments),
    /// Check that files here and on the server have the same bytes
    #[command(after_long_help = verify::HELP)]
    Verify(verify::VerifyArguments),
    /// Write a file to standard output
    Cat(cat::CatArguments),
    /// Make a link with which anybody can download a file
    Sign(sign::SignArguments),
    /// Rename a file
    Mv(rename::RenameArguments),
    /// Delete files
    Rm(remove::RemoveArguments),
    /// Look at uploads that are not complete
    Uploads(uploads::UploadsArguments),
    /// See uploads and files change, until Ctrl-C
    Watch(watch::WatchArguments),
}

impl Command {
    /// What the command prints, and how; none if it only prints text.
    pub(crate) fn display(&self) -> Option<&DisplayArguments> {
        match self {
            #[cfg(feature = "serve")]
            Self::Serve(_) => None,
            Self::Upload(arguments) => Some(&arguments.display),
            Self::Download(arguments) => Some(&arguments.display),
            Self::Sync(arguments) => Some(&arguments.display),
            Self::Verify(arguments) => Some(&arguments.display),
            Self::Ls(arguments) => Some(&arguments.display),
            Self::Stat(arguments) => Some(&arguments.display),
            Self::Cat(arguments) => Some(&arguments.display),
            Self::Sign(arguments) => Some(&arguments.display),
            Self::Mv(arguments) => Some(&arguments.display),
            Self::Rm(arguments) => Some(&arguments.display),
            Self::Uploads(arguments) => Some(arguments.display()),
            Self::Watch(arguments) => Some(&arguments.display),
        }
    }

    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self {
            #[cfg(feature = "serve")]
            Self::Serve(arguments) => Box::pin(arguments.run()).await,
            Self::Upload(arguments) => Box::pin(arguments.run()).await,
            Self::Download(arguments) => Box::pin(arguments.run()).await,
            Self::Sync(arguments) => Box::pin(arguments.run()).await,
            Self::Ls(arguments) => Box::pin(arguments.run()).await,
            Self::Stat(arguments) => Box::pin(arguments.run()).await,
            Self::Verify(arguments) => Box::pin(arguments.run()).await,
            Self::Cat(arguments) => Box::pin(arguments.run()).await,
            Self::Sign(arguments) => Box::pin(arguments.run()).await,
            Self::Mv(arguments) => Box::pin(arguments.run()).await,
            Self::Rm(arguments) => Box::pin(arguments.run()).await,
            Self::Uploads(arguments) => Box::pin(arguments.run()).await,
            Self::Watch(arguments) => Box::pin(arguments.run()).await,
        }
    }
}
