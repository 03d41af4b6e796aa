//! `sluice uploads ls`: which uploads are open.

use std::{collections::HashMap, fs, io::Write, pin::pin};

use clap::Args;
use futures::TryStreamExt;
use sluice_sdk::v1::upload::State;

use super::live;
use crate::{
    command::upload::Journal, display::DisplayArguments, event::print_event, exit::Exit,
    failure::Failure, remote::RemoteArguments, remote_upload::UploadView, terminal,
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
        let mut here = self.resumable()?;
        let mut empty = true;
        while let Some(upload) = uploads.try_next().await? {
            empty = false;
            let view = UploadView::from(&upload).with_path(here.remove(&upload.id));
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

    /// Paths of files that are as they were when their uploads were begun here,
    /// by the ids of those.
    fn resumable(&self) -> Result<HashMap<String, String>, Failure> {
        let journal = Journal::open(&self.remote.endpoint()?);
        let records = journal.map(|journal| journal.records()).unwrap_or_default();
        let here = records.into_iter().filter_map(|record| {
            let path = &record.subject.path;
            record.is_of(&fs::metadata(path).ok()?)?;
            let path = path.display().to_string();
            Some((record.upload_id?, path))
        });
        Ok(here.collect())
    }
}
