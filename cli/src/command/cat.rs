//! `sluice cat`: a file on standard output.

use std::io::{self, Write};

use clap::Args;
use sluice_sdk::{Client, File};

use crate::{
    display::DisplayArguments, exit::Exit, failure::Failure, remote::RemoteArguments,
    remote_file::resolve,
};

#[derive(Debug, Args)]
pub(crate) struct CatArguments {
    /// Name or id of the file
    #[arg(value_name = "NAME|ID")]
    file: String,
    /// Leave out this many bytes at the beginning
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    offset: u64,
    /// Stop after this many bytes
    #[arg(long, value_name = "BYTES")]
    length: Option<u64>,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl CatArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        if self.display.json {
            return Err(Failure::usage(
                "what cat writes is the file itself: it goes not with --json",
            ));
        }
        let client = self.remote.connect().await?;
        let file = resolve(&client, &self.file).await?;
        let end = self.length.map_or(u64::MAX, |length| self.offset.saturating_add(length));
        write_to_output(&client, &file, self.offset, end).await?;
        Ok(Exit::Success)
    }
}

/// Writes a range of a file to standard output.
pub(super) async fn write_to_output(
    client: &Client,
    file: &File,
    start: u64,
    end: u64,
) -> Result<(), Failure> {
    let size = file.size.cast_unsigned();
    let mut reader = client.read(&file.id, start.min(size)..end.min(size));
    while let Some(chunk) =
        reader.chunk().await.map_err(|error| Failure::from(error).about(&file.name))?
    {
        // The reader of a pipe decides how fast this goes; nothing else waits.
        tokio::task::block_in_place(|| io::stdout().lock().write_all(&chunk))?;
    }
    io::stdout().lock().flush()?;
    Ok(())
}
