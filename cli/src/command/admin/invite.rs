//! `sluice admin invite`: a token with which somebody can register.

use std::{io::Write, time::Duration};

use clap::Args;
use serde::Serialize;

use crate::{
    display::DisplayArguments, event::print_event, exit::Exit, failure::Failure,
    remote::RemoteArguments, terminal, units,
};

#[derive(Debug, Args)]
pub(super) struct InviteArguments {
    /// How long it is good for: 30d at most [default: 7d]
    #[arg(long, value_name = "TIME", value_parser = units::parse_span)]
    expires: Option<Duration>,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// An invitation as JSON.
#[derive(Debug, Serialize)]
struct InvitationView<'a> {
    setup_token: &'a str,
    expire_time: String,
}

impl InviteArguments {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let invitation = self.remote.connect().await?.invite(self.expires).await?;
        let expire_time = humantime::format_rfc3339_seconds(invitation.expire_time).to_string();
        if self.display.json {
            let view = InvitationView { setup_token: &invitation.setup_token, expire_time };
            print_event("invitation", &view)?;
            return Ok(Exit::Success);
        }
        terminal::note(&format!(
            "good for one account until {expire_time}, with `sluice register --setup-token-file`:"
        ));
        writeln!(std::io::stdout().lock(), "{}", invitation.setup_token)?;
        Ok(Exit::Success)
    }
}
