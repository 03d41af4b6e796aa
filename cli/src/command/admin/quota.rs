//! `sluice admin quota`: how much an account may hold.

use clap::Args;
use sluice_sdk::Quota;

use super::resolve;
use crate::{
    display::DisplayArguments,
    event::print_event,
    exit::Exit,
    failure::Failure,
    remote::RemoteArguments,
    remote_account::{UsageView, print_fields},
    units,
};

/// What `--help` says at the top.
pub(super) const ABOUT: &str = "\
Set how much an account may hold.

All limits are set together: one that is not named is from now on as the server's configuration has it for \
all accounts. What the account holds already stays, even if it is more.";

#[derive(Debug, Args)]
pub(super) struct QuotaArguments {
    /// Id or address of the account
    #[arg(value_name = "ID|ADDRESS")]
    account: String,
    /// Most bytes in all, such as 100GiB
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    max_bytes: Option<u64>,
    /// Most uploads that are open at a time
    #[arg(long, value_name = "COUNT")]
    max_uploads: Option<u32>,
    /// Largest file, such as 10GiB
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    max_file_size: Option<u64>,
    /// No limits of its own: those of the server's configuration
    #[arg(
        long,
        conflicts_with_all = ["max_bytes", "max_uploads", "max_file_size"],
        required_unless_present_any = ["max_bytes", "max_uploads", "max_file_size"],
    )]
    default: bool,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl QuotaArguments {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let id = resolve(&client, &self.account).await?;
        // What is beyond all sizes is no limit.
        let size = |size: Option<u64>| size.map(|size| i64::try_from(size).unwrap_or(i64::MAX));
        let quota = Quota {
            max_bytes: size(self.max_bytes),
            max_active_uploads: self.max_uploads.map(i64::from),
            max_file_size: size(self.max_file_size),
        };
        let usage = client.set_quota(&id, quota).await;
        let usage = usage.map_err(|error| Failure::from(error).about(&self.account))?;
        let view = UsageView::new(Some(&id), &usage);
        match self.display.json {
            true => print_event("usage", &view)?,
            false => print_fields(&view.lines())?,
        }
        Ok(Exit::Success)
    }
}
