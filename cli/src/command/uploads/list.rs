//! `sluice uploads ls`: which uploads are open.

use std::{io::Write, pin::pin};

use clap::Args;
use futures::TryStreamExt;
use sluice_sdk::v1::upload::State;

use super::live;
use crate::{
    display::DisplayArguments, event::print_event, exit::Exit, failure::Failure,
    remote::RemoteArguments, remote_upload::UploadView, terminal,
};

#[derive(Debug, Args)]
pub(crate) struct ListUploadsArguments {
    /// Also those that have ended
    #[arg(short, long)]
    all: bool,
    /// Go on and show how they change, until Ctrl-C
    #[arg(short, long, conflicts_with = "all")]
    watch: bool,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl ListUploadsArguments {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        if self.watch {
            return live::show(&client, self.display.json).await;
        }
        let open = [State::Active, State::Completing];
        let mut uploads = pin!(client.list_uploads(if self.all { &[] } else { &open }));
        let mut empty = true;
        while let Some(upload) = uploads.try_next().await? {
            empty = false;
            let view = UploadView::from(&upload);
            if self.display.json {
                print_event("upload", &view)?;
            } else {
                writeln!(std::io::stdout().lock(), "{}", view.line())?;
            }
        }
        if empty && !self.display.json {
            terminal::note("no upload is open");
        }
        Ok(Exit::Success)
    }
}
