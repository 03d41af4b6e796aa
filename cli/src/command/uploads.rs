//! `sluice uploads`: uploads that are not complete.

use std::{io::Write, pin::pin};

use clap::{Args, Subcommand};
use futures::TryStreamExt;
use serde::Serialize;
use sluice_sdk::{Upload, v1::upload::State};

use crate::{
    exit::Exit, failure::Failure, remote::RemoteArguments, summary::print_json, terminal, units,
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

/// An upload as JSON.
#[derive(Serialize)]
struct UploadView<'a> {
    upload_id: &'a str,
    name: &'a str,
    state: &'a str,
    size: Option<u64>,
    persisted_bytes: u64,
    part_size: u64,
    create_time: Option<String>,
    expire_time: Option<String>,
}

impl UploadsArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self.command {
            UploadsCommand::Ls { all, json, remote } => list(&remote, all, json).await,
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

impl<'a> From<&'a Upload> for UploadView<'a> {
    fn from(upload: &'a Upload) -> Self {
        Self {
            upload_id: &upload.id,
            name: &upload.name,
            state: upload.state().as_str_name().trim_start_matches("STATE_"),
            size: upload.size.map(i64::cast_unsigned),
            persisted_bytes: upload.persisted_bytes.cast_unsigned(),
            part_size: upload.part_size.cast_unsigned(),
            create_time: upload.create_time.map(|time| time.to_string()),
            expire_time: upload.expire_time.map(|time| time.to_string()),
        }
    }
}

impl UploadView<'_> {
    fn line(&self) -> String {
        let progress = match self.size {
            Some(size) => format!(
                "{:>3} % of {}",
                units::percent(self.persisted_bytes, size),
                units::bytes(size)
            ),
            None => units::bytes(self.persisted_bytes).to_string(),
        };
        let state = match self.state {
            "ACTIVE" => String::new(),
            state => format!("  {}", state.to_lowercase()),
        };
        format!("{}  {progress:>19}  {}{state}", self.upload_id, self.name)
    }
}
