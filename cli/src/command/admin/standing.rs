//! `sluice admin suspend` and `reinstate`: whether an account may act.

use clap::Args;
use sluice_sdk::Account;

use super::resolve;
use crate::{
    display::DisplayArguments, event::print_event, exit::Exit, failure::Failure,
    remote::RemoteArguments, remote_account::AccountView, terminal,
};

#[derive(Debug, Args)]
pub(super) struct StandingArguments {
    /// Id or address of the account
    #[arg(value_name = "ID|ADDRESS")]
    account: String,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl StandingArguments {
    pub(super) async fn suspend(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let id = resolve(&client, &self.account).await?;
        self.tell(client.suspend_account(id).await, "is suspended")
    }

    pub(super) async fn reinstate(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let id = resolve(&client, &self.account).await?;
        self.tell(client.reinstate_account(id).await, "may act again")
    }

    fn tell(
        &self,
        changed: Result<Account, sluice_sdk::Error>,
        what: &str,
    ) -> Result<Exit, Failure> {
        let account = changed.map_err(|error| Failure::from(error).about(&self.account))?;
        if self.display.json {
            print_event("account", &AccountView::from(&account))?;
        }
        terminal::note(&format!("{} {what}", self.account));
        Ok(Exit::Success)
    }
}
