//! `sluice admin`: the operator looks after the accounts of a server.

mod accounts;
#[cfg(feature = "serve")]
mod bootstrap;
mod invite;
mod quota;
mod standing;

use clap::{Args, Subcommand};
use futures::{StreamExt, TryStreamExt};
use sluice_sdk::Client;

use super::examples;
use crate::{display::DisplayArguments, exit::Exit, failure::Failure};

#[derive(Debug, Args)]
pub(crate) struct AdminArguments {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// List all accounts
    #[command(after_help = examples::ADMIN_ACCOUNTS)]
    Accounts(accounts::AccountsArguments),
    /// Stop accounts: nobody gets in, what they own stays
    #[command(after_help = examples::ADMIN_SUSPEND)]
    Suspend(standing::StandingArguments),
    /// Let suspended accounts act again
    #[command(after_help = examples::ADMIN_REINSTATE)]
    Reinstate(standing::StandingArguments),
    /// Set how much an account may hold
    #[command(after_help = examples::ADMIN_QUOTA, long_about = quota::ABOUT)]
    Quota(quota::QuotaArguments),
    /// Make a token with which somebody can register
    #[command(after_help = examples::ADMIN_INVITE)]
    Invite(invite::InviteArguments),
    /// Make what a server on S3 and DynamoDB needs
    #[cfg(feature = "serve")]
    #[command(after_help = examples::ADMIN_BOOTSTRAP, long_about = bootstrap::ABOUT)]
    Bootstrap(bootstrap::BootstrapArguments),
}

impl AdminArguments {
    /// What the command prints, and how.
    pub(crate) fn display(&self) -> &DisplayArguments {
        match &self.command {
            AdminCommand::Accounts(arguments) => &arguments.display,
            AdminCommand::Suspend(arguments) | AdminCommand::Reinstate(arguments) => {
                &arguments.display
            }
            AdminCommand::Quota(arguments) => &arguments.display,
            AdminCommand::Invite(arguments) => &arguments.display,
            #[cfg(feature = "serve")]
            AdminCommand::Bootstrap(arguments) => &arguments.display,
        }
    }

    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self.command {
            AdminCommand::Accounts(arguments) => arguments.run().await,
            AdminCommand::Suspend(arguments) => arguments.suspend().await,
            AdminCommand::Reinstate(arguments) => arguments.reinstate().await,
            AdminCommand::Quota(arguments) => arguments.run().await,
            AdminCommand::Invite(arguments) => arguments.run().await,
            #[cfg(feature = "serve")]
            AdminCommand::Bootstrap(arguments) => arguments.run().await,
        }
    }
}

/// The id of the account with this id or address.
async fn resolve(client: &Client, named: &str) -> Result<String, Failure> {
    if !named.contains('@') {
        return Ok(named.to_owned());
    }
    let address = named.to_lowercase();
    let mut accounts = client.accounts().boxed();
    while let Some(account) = accounts.try_next().await? {
        if account.email == address {
            return Ok(account.id);
        }
    }
    Err(Failure::new(Exit::NotFound, format!("there is no account {named}"))
        .hint("`sluice admin accounts` shows which there are"))
}
