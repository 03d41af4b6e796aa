//! `sluice stat`: what is known about a file.

use std::io::Write;

use clap::Args;

use crate::{
    display::DisplayArguments,
    event::print_event,
    exit::Exit,
    failure::Failure,
    remote::RemoteArguments,
    remote_file::{FileView, resolve},
};

#[derive(Debug, Args)]
pub(crate) struct StatArguments {
    /// Name or id of the file
    #[arg(value_name = "NAME|ID")]
    file: String,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl StatArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let file = resolve(&client, &self.file).await?;
        let view = FileView::from(&file);
        if self.display.json {
            print_event("file", &view)?;
        } else {
            let mut output = std::io::stdout().lock();
            for (name, value) in view.lines() {
                writeln!(output, "{name:<9} {value}")?;
            }
        }
        Ok(Exit::Success)
    }
}
