//! `sluice uploads abort`: gives uploads up.

use clap::Args;
use futures::TryStreamExt;
use sluice_sdk::v1::upload::State;

use crate::{
    confirmation, display::DisplayArguments, event::print_event, exit::Exit, failure::Failure,
    remote::RemoteArguments, remote_upload::UploadView, summary::Event, terminal, units,
};

#[derive(Debug, Args)]
pub(crate) struct AbortArguments {
    /// Ids of uploads
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// Every upload that is open, from whatever machine
    #[arg(short, long, conflicts_with = "ids")]
    all: bool,
    /// Do not ask before --all
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl AbortArguments {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let ids = if self.all {
            let open = client.list_uploads(&[State::Active]);
            let open: Vec<_> = open.map_ok(|upload| upload.id).try_collect().await?;
            if open.is_empty() {
                terminal::note("no upload is open");
                return Ok(Exit::Success);
            }
            let uploads = units::count(open.len(), "upload");
            confirmation::ask(&format!("give up {uploads} and what is there of them"), self.yes)?;
            open
        } else {
            self.ids
        };
        let mut failures = Vec::new();
        for id in &ids {
            match client.cancel_upload(id).await {
                Ok(upload) if self.display.json => {
                    print_event("upload", &UploadView::from(&upload))?;
                }
                Ok(upload) => terminal::note(&format!("{id} ({}) is given up", upload.name)),
                Err(error) => {
                    let failure = Failure::from(error).about(id);
                    terminal::failure(&failure);
                    if self.display.json {
                        Event::failed(id, &failure).print()?;
                    }
                    failures.push(failure.exit);
                }
            }
        }
        Ok(Exit::of_many(&failures, ids.len() - failures.len()))
    }
}
