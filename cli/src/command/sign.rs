//! `sluice sign`: a link to download a file.

use std::{
    io::Write,
    time::{Duration, SystemTime},
};

use clap::Args;
use serde::Serialize;
use sluice_sdk::LinkOptions;

use crate::{
    display::DisplayArguments, event::print_event, exit::Exit, failure::Failure,
    remote::RemoteArguments, remote_file::resolve, units,
};

#[derive(Debug, Args)]
pub(crate) struct SignArguments {
    /// Name or id of the file
    #[arg(value_name = "NAME|ID")]
    file: String,
    /// How long the link works: 30s, 15m, 12h or 7d at most
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = units::parse_span)]
    ttl: Duration,
    /// Let browsers show the file instead of saving it, where that is harmless
    #[arg(long)]
    inline: bool,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// A link as JSON.
#[derive(Debug, Serialize)]
struct LinkView<'a> {
    name: &'a str,
    file_id: &'a str,
    url: &'a str,
    expire_time: String,
}

impl SignArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let file = resolve(&client, &self.file).await?;
        let options = LinkOptions::new().ttl(self.ttl);
        let options = if self.inline { options.inline() } else { options };
        let signed = client.sign_download_url(&file.id, options).await;
        let link = signed.map_err(|error| Failure::from(error).about(&file.name))?;
        if self.display.json {
            let view = LinkView {
                name: &file.name,
                file_id: &file.id,
                url: &link.url,
                expire_time: timestamp(link.expire_time),
            };
            print_event("link", &view)?;
        } else {
            writeln!(std::io::stdout().lock(), "{}", link.url)?;
        }
        Ok(Exit::Success)
    }
}

/// As other commands print times.
fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
