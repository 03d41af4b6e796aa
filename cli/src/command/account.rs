//! `sluice account`: changes to the account itself.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{examples, sign_in::password::wrong_password};
use crate::{
    confirmation, credentials::Credentials, display::DisplayArguments, event::print_event,
    exit::Exit, failure::Failure, prompt, remote::RemoteArguments, remote_account::AccountView,
    terminal, units,
};

#[derive(Debug, Args)]
pub(crate) struct AccountArguments {
    #[command(subcommand)]
    command: AccountCommand,
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Change what people call the account
    #[command(after_help = examples::ACCOUNT_RENAME)]
    Rename(RenameArguments),
    /// Delete the account and everything that it holds
    #[command(after_help = examples::ACCOUNT_DELETE)]
    Delete(DeleteArguments),
}

#[derive(Debug, Args)]
struct RenameArguments {
    /// What people call the account from now on
    #[arg(value_name = "NAME")]
    display_name: String,
    #[command(flatten)]
    display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

#[derive(Debug, Args)]
struct DeleteArguments {
    /// File with the password, - for standard input [default: asks]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Do not ask whether it is meant
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// What was deleted as JSON.
#[derive(Debug, Serialize)]
struct DeletedView<'a> {
    account_id: &'a str,
}

impl AccountArguments {
    /// What the command prints, and how.
    pub(crate) fn display(&self) -> &DisplayArguments {
        match &self.command {
            AccountCommand::Rename(arguments) => &arguments.display,
            AccountCommand::Delete(arguments) => &arguments.display,
        }
    }

    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self.command {
            AccountCommand::Rename(arguments) => arguments.run().await,
            AccountCommand::Delete(arguments) => arguments.run().await,
        }
    }
}

impl RenameArguments {
    async fn run(self) -> Result<Exit, Failure> {
        let account = self.remote.connect().await?.rename_account(self.display_name).await?;
        let view = AccountView::from(&account);
        if self.display.json {
            print_event("account", &view)?;
        }
        terminal::note(&format!("{} is called {} now", view.who(), account.display_name));
        Ok(Exit::Success)
    }
}

impl DeleteArguments {
    async fn run(self) -> Result<Exit, Failure> {
        let settings = self.remote.settings()?;
        let client = settings.connect(1).await?;
        let account = client.account().await?;
        let (usage, view) = (client.usage().await?, AccountView::from(&account));
        let held = units::bytes(usage.stored_bytes.unsigned_abs());
        let action = format!("delete {} and its files of {held}, for ever", view.who());
        confirmation::ask(&action, self.yes)?;
        let file = self.password_file.as_deref();
        let password = prompt::password("Password: ", file, "--password-file")?;
        client.delete_account(password).await.map_err(wrong_password)?;
        if let Some(credentials) = Credentials::usual() {
            credentials.change(&settings.server.value, |login| {
                if login.account_id.as_ref() == Some(&account.id) {
                    login.forget();
                }
            })?;
        }
        if self.display.json {
            print_event("account_deleted", &DeletedView { account_id: &account.id })?;
        }
        terminal::note(&format!("the account of {} is deleted", view.who()));
        Ok(Exit::Success)
    }
}
