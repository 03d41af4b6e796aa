//! `sluice usage`: what the account holds, and how much it may.

use clap::Args;

use crate::{
    display::DisplayArguments,
    event::print_event,
    exit::Exit,
    failure::Failure,
    remote::RemoteArguments,
    remote_account::{UsageView, print_fields},
};

#[derive(Debug, Args)]
pub(crate) struct UsageArguments {
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl UsageArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let usage = self.remote.connect().await?.usage().await?;
        let view = UsageView::new(None, &usage);
        match self.display.json {
            true => print_event("usage", &view)?,
            false => print_fields(&view.lines())?,
        }
        Ok(Exit::Success)
    }
}
