//! `sluice uploads`: uploads that are not complete.

mod live;

use std::{io::Write, pin::pin};

use clap::{Args, Subcommand};
use futures::TryStreamExt;
use sluice_sdk::v1::upload::State;

use crate::{
    exit::Exit, failure::Failure, remote::RemoteArguments, remote_upload::UploadView,
    summary::print_json, terminal,
};

#[derive(Debug, Args)]
pub(crate) struct UploadsArguments {
    #[command(subcommand)]
    command: UploadsCommand,
}

#[derive(Debug, Subcommand)]
enum UploadsCommand {
    /// List uploads that can go on; the same `sluice upload` resumes them
    Ls {
        /// Also those that have ended
        #[arg(short, long)]
        all: bool,
        /// Go on and show how they change, until Ctrl-C
        #[arg(short, long, conflicts_with = "all")]
        watch: bool,
        /// Print one JSON object for each upload
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: RemoteArguments,
    },
    /// Give uploads up and free their space
    Abort {
        /// Ids of uploads
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        remote: RemoteArguments,
    },
}

impl UploadsArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self.command {
            UploadsCommand::Ls { watch: true, json, remote, .. } => {
                live::show(&remote.connect().await?, json).await
            }
            UploadsCommand::Ls { all, json, remote, .. } => list(&remote, all, json).await,
            UploadsCommand::Abort { ids, remote } => abort(&remote, &ids).await,
        }
    }
}

async fn list(remote: &RemoteArguments, all: bool, json: bool) -> Result<Exit, Failure> {
    let client = remote.connect().await?;
    let open = [State::Active, State::Completing];
    let mut uploads = pin!(client.list_uploads(if all { &[] } else { &open }));
    let mut empty = true;
    while let Some(upload) = uploads.try_next().await? {
        empty = false;
        let view = UploadView::from(&upload);
        if json {
            print_json(&view)?;
        } else {
            writeln!(std::io::stdout().lock(), "{}", view.line())?;
        }
    }
    if empty && !json {
        terminal::note("no upload is open");
    }
    Ok(Exit::Success)
}

async fn abort(remote: &RemoteArguments, ids: &[String]) -> Result<Exit, Failure> {
    let client = remote.connect().await?;
    let mut failures = Vec::new();
    for id in ids {
        match client.cancel_upload(id).await {
            Ok(upload) => terminal::note(&format!("{id} ({}) is given up", upload.name)),
            Err(error) => {
                let failure = Failure::from(error).about(id);
                terminal::failure(&failure);
                failures.push(failure.exit);
            }
        }
    }
    Ok(Exit::of_many(&failures, ids.len() - failures.len()))
}
