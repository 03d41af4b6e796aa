//! What every command takes that sends or fetches files.

use clap::Args;
use sluice_sdk::Client;

use crate::{
    display::DisplayArguments, failure::Failure, filter::FilterArguments, remote::RemoteArguments,
    speed::SpeedArguments,
};

#[derive(Debug, Args)]
pub(crate) struct TransferArguments {
    #[command(flatten)]
    pub(crate) filter: FilterArguments,
    #[command(flatten)]
    pub(crate) speed: SpeedArguments,
    #[command(flatten)]
    pub(crate) display: DisplayArguments,
    #[command(flatten)]
    pub(crate) remote: RemoteArguments,
}

impl TransferArguments {
    /// The same with what the environment or the profile says, where the command
    /// line says nothing.
    pub(crate) fn settled(mut self) -> Result<Self, Failure> {
        self.speed = self.speed.settled(&self.remote)?;
        Ok(self)
    }

    /// A client of the server that keeps to the limit.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        self.speed.connect(&self.remote).await
    }
}
