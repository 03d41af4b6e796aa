//! The commands: one file each.

#[cfg(feature = "serve")]
mod serve;

mod download;
mod sync;
mod upload;

mod account;
mod admin;
mod keys;
mod sessions;
mod sign_in;
mod usage;

mod cat;
mod completions;
mod config;
mod doctor;
mod examples;
mod list;
mod man;
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
    #[command(after_help = examples::SERVE)]
    Serve(serve::ServeArguments),
    /// Upload files, folders or standard input
    #[command(visible_alias = "put", after_help = examples::UPLOAD)]
    Upload(upload::UploadArguments),
    /// Download files or folders
    #[command(visible_alias = "get", after_help = examples::DOWNLOAD)]
    Download(download::DownloadArguments),
    /// Make a folder here and a folder on the server equal
    #[command(after_help = examples::SYNC, long_about = sync::ABOUT)]
    Sync(sync::SyncArguments),
    /// List files
    #[command(after_help = examples::LS)]
    Ls(list::ListArguments),
    /// Show what is known about a file
    #[command(after_help = examples::STAT)]
    Stat(stat::StatArguments),
    /// Check that files here and on the server have the same bytes
    #[command(after_help = examples::VERIFY, long_about = verify::ABOUT)]
    Verify(verify::VerifyArguments),
    /// Write a file to standard output
    #[command(after_help = examples::CAT)]
    Cat(cat::CatArguments),
    /// Make a link with which anybody can download a file
    #[command(after_help = examples::SIGN)]
    Sign(sign::SignArguments),
    /// Rename files and folders
    #[command(after_help = examples::MV)]
    Mv(rename::RenameArguments),
    /// Delete files
    #[command(after_help = examples::RM)]
    Rm(remove::RemoveArguments),
    /// Look at uploads that are not complete
    Uploads(uploads::UploadsArguments),
    /// See uploads and files change, until Ctrl-C
    #[command(after_help = examples::WATCH)]
    Watch(watch::WatchArguments),
    /// Sign in to a server
    #[command(after_help = examples::LOGIN, long_about = sign_in::login::ABOUT)]
    Login(sign_in::login::LoginArguments),
    /// Sign out of a server
    #[command(after_help = examples::LOGOUT)]
    Logout(sign_in::logout::LogoutArguments),
    /// Make an account
    #[command(after_help = examples::REGISTER, long_about = sign_in::register::ABOUT)]
    Register(sign_in::register::RegisterArguments),
    /// Show in whose name commands are made
    #[command(after_help = examples::WHOAMI)]
    Whoami(sign_in::whoami::WhoamiArguments),
    /// Change the password
    #[command(after_help = examples::PASSWORD)]
    Password(sign_in::password::PasswordArguments),
    /// Look at where the account is signed in
    Sessions(sessions::SessionsArguments),
    /// Look after API keys, which are for programs
    Keys(keys::KeysArguments),
    /// Rename or delete the account
    Account(account::AccountArguments),
    /// Show what the account holds, and how much it may
    #[command(after_help = examples::USAGE)]
    Usage(usage::UsageArguments),
    /// Look after the accounts of a server, as its operator
    Admin(admin::AdminArguments),
    /// Look at the configuration of clients and servers
    Config(config::ConfigArguments),
    /// Find out what is wrong between here and a server
    #[command(after_help = examples::DOCTOR)]
    Doctor(doctor::DoctorArguments),
    /// Print what a shell completes commands with
    #[command(after_help = examples::COMPLETIONS)]
    Completions(completions::CompletionsArguments),
    /// Print or write manual pages
    #[command(after_help = examples::MAN)]
    Man(man::ManArguments),
}

impl Command {
    /// What the command prints, and how; none if it only prints text.
    pub(crate) fn display(&self) -> Option<&DisplayArguments> {
        match self {
            #[cfg(feature = "serve")]
            Self::Serve(_) => None,
            Self::Upload(arguments) => Some(&arguments.transfer.display),
            Self::Download(arguments) => Some(&arguments.transfer.display),
            Self::Sync(arguments) => Some(&arguments.transfer.display),
            Self::Verify(arguments) => Some(&arguments.display),
            Self::Ls(arguments) => Some(&arguments.display),
            Self::Stat(arguments) => Some(&arguments.display),
            Self::Cat(arguments) => Some(&arguments.display),
            Self::Sign(arguments) => Some(&arguments.display),
            Self::Mv(arguments) => Some(&arguments.display),
            Self::Rm(arguments) => Some(&arguments.display),
            Self::Uploads(arguments) => Some(arguments.display()),
            Self::Watch(arguments) => Some(&arguments.display),
            Self::Login(arguments) => Some(&arguments.display),
            Self::Logout(arguments) => Some(&arguments.display),
            Self::Register(arguments) => Some(&arguments.display),
            Self::Whoami(arguments) => Some(&arguments.display),
            Self::Password(arguments) => Some(&arguments.display),
            Self::Sessions(arguments) => Some(arguments.display()),
            Self::Keys(arguments) => Some(arguments.display()),
            Self::Account(arguments) => Some(arguments.display()),
            Self::Usage(arguments) => Some(&arguments.display),
            Self::Admin(arguments) => Some(arguments.display()),
            Self::Config(arguments) => Some(arguments.display()),
            Self::Doctor(arguments) => Some(&arguments.display),
            Self::Completions(_) | Self::Man(_) => None,
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
            Self::Login(arguments) => Box::pin(arguments.run()).await,
            Self::Logout(arguments) => Box::pin(arguments.run()).await,
            Self::Register(arguments) => Box::pin(arguments.run()).await,
            Self::Whoami(arguments) => Box::pin(arguments.run()).await,
            Self::Password(arguments) => Box::pin(arguments.run()).await,
            Self::Sessions(arguments) => Box::pin(arguments.run()).await,
            Self::Keys(arguments) => Box::pin(arguments.run()).await,
            Self::Account(arguments) => Box::pin(arguments.run()).await,
            Self::Usage(arguments) => Box::pin(arguments.run()).await,
            Self::Admin(arguments) => Box::pin(arguments.run()).await,
            Self::Config(arguments) => arguments.run(),
            Self::Doctor(arguments) => Box::pin(arguments.run()).await,
            Self::Completions(arguments) => arguments.run(),
            Self::Man(arguments) => arguments.run(),
        }
    }
}
