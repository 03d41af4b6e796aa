//! `sluice mv`: another name for a file.

use clap::Args;
use sluice_sdk::FileChange;

use crate::{
    display::DisplayArguments,
    event::print_event,
    exit::Exit,
    failure::Failure,
    remote::RemoteArguments,
    remote_file::{FileView, resolve},
    terminal,
};

#[derive(Debug, Args)]
pub(crate) struct RenameArguments {
    /// Name or id of the file
    #[arg(value_name = "NAME|ID")]
    file: String,
    /// Its new name; with a / at the end, the folder to move it to
    #[arg(value_name = "NEW NAME")]
    new_name: String,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl RenameArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let file = resolve(&client, &self.file).await?;
        let last_segment = file.name.rsplit('/').next().unwrap_or_default();
        let name = match self.new_name.strip_suffix('/') {
            Some("") => last_segment.to_owned(),
            Some(folder) => format!("{folder}/{last_segment}"),
            None => self.new_name,
        };
        let change = FileChange::default().name(&name).if_etag(&file.etag);
        let renamed = client.update(&file.id, change).await;
        let renamed = renamed.map_err(|error| {
            let failure = Failure::from(error).about(&name);
            // The hint for uploads names options that this command lacks.
            Failure { hint: None, ..failure }
        })?;
        if self.display.json {
            print_event("file", &FileView::from(&renamed))?;
        } else if !self.display.quiet {
            terminal::note(&format!("{} is now {}", file.name, renamed.name));
        }
        Ok(Exit::Success)
    }
}
