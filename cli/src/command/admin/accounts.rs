//! `sluice admin accounts`: which accounts there are.

use std::io::Write;

use clap::Args;
use futures::{StreamExt, TryStreamExt};

use crate::{
    display::DisplayArguments, event::print_event, exit::Exit, failure::Failure,
    remote::RemoteArguments, remote_account::AccountView,
};

#[derive(Debug, Args)]
pub(super) struct AccountsArguments {
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl AccountsArguments {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let mut accounts = client.accounts().boxed();
        while let Some(account) = accounts.try_next().await? {
            let view = AccountView::from(&account);
            match self.display.json {
                true => print_event("account", &view)?,
                false => writeln!(std::io::stdout().lock(), "{}", view.line())?,
            }
        }
        Ok(Exit::Success)
    }
}
