//! `sluice uploads resume`: goes on with uploads from files on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use clap::Args;
use futures::{StreamExt, stream};
use sluice_sdk::{CancellationToken, Client, Kind, Source, UploadOptions, v1::upload::State};

use crate::{
    command::upload::{
        Choices, ConflictChoice, Existing, Item, Journal, Origin, Outcome, Record, Uploader,
    },
    display::DisplayArguments,
    exit::Exit,
    failure::Failure,
    local_tree::unreadable,
    progress::Board,
    remote::RemoteArguments,
    report::Report,
    speed::SpeedArguments,
    terminal,
};

/// Only uploads of several parts are remembered, and each part in flight is in
/// memory: `sluice upload` sends no more of them at a time either.
const LARGE_FILES_AT_A_TIME: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct ResumeArguments {
    /// Ids of uploads, or files here [default: all uploads that were begun on this machine]
    #[arg(value_name = "ID|PATH")]
    uploads: Vec<String>,
    /// File with the bytes of the one upload that is named, wherever it was begun
    #[arg(long, value_name = "PATH", requires = "uploads")]
    from: Option<PathBuf>,
    #[command(flatten)]
    speed: SpeedArguments,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// What there is to go on with.
struct Task {
    item: Item,
    /// What this machine remembers; absent for a file that was named.
    record: Option<Record>,
    upload_id: Option<String>,
}

impl ResumeArguments {
    pub(super) async fn run(mut self) -> Result<Exit, Failure> {
        self.speed = self.speed.settled(&self.remote)?;
        let server = self.remote.endpoint()?;
        let journal = Journal::open(&server);
        let client = self.speed.connect(&self.remote).await?;
        let (tasks, problems) = match &self.from {
            Some(path) => (vec![self.named(&client, path).await?], Vec::new()),
            None => self.remembered(&client, journal.as_ref()).await?,
        };
        if tasks.is_empty() && problems.is_empty() {
            terminal::note("nothing that was begun on this machine is open");
        }

        let sizes: Vec<_> = tasks.iter().map(|task| task.item.size()).collect();
        let board = Board::new(self.display.progress(), &sizes);
        let mut report = Report::begin("uploaded", &self.display, board);
        for (name, problem) in &problems {
            report.failed(name, problem)?;
        }
        let choices: Vec<_> = tasks.iter().map(|task| self.choices(&server, task)).collect();
        let uploaders = choices
            .iter()
            .map(|choices| Uploader::new(&client, choices, self.speed.gate(&client), &report));
        let uploaders: Vec<_> = uploaders.collect();
        let (board, stop) = (report.board.clone(), report.stop.clone());
        // Each uploader knows of one file, so it is here that they are let in.
        let gate = self.speed.gate(&client);
        let outcomes = stream::iter(tasks.iter().zip(&uploaders)).map(async |(task, uploader)| {
            let mut pass = gate.enter().await;
            let outcome = match (&task.record, &task.upload_id) {
                (None, Some(upload_id)) => {
                    self.compare_and_go_on(&client, task, upload_id, &board, &stop).await
                }
                _ => uploader.upload(&task.item, Existing::Free).await,
            };
            if let Ok(Outcome::Uploaded(uploaded)) = &outcome {
                pass.moved(uploaded.statistics.sent);
            }
            (task, outcome)
        });
        let at_a_time = self.speed.files().min(LARGE_FILES_AT_A_TIME);
        let mut outcomes = Box::pin(outcomes.buffer_unordered(at_a_time));
        while let Some((task, outcome)) = outcomes.next().await {
            report.uploaded(&task.item, outcome)?;
        }
        drop(outcomes);
        report.of(tasks.len() + problems.len()).finish()
    }

    /// Goes on with an upload that was begun elsewhere.
    async fn compare_and_go_on(
        &self,
        client: &Client,
        task: &Task,
        upload_id: &str,
        board: &Arc<Board>,
        stop: &CancellationToken,
    ) -> Result<Outcome, Failure> {
        if stop.is_cancelled() {
            return Ok(Outcome::Stopped);
        }
        let row = Arc::new(board.row(&task.item.name, task.item.size()));
        let shown = row.clone();
        let options = UploadOptions::new()
            .name(&task.item.name)
            .streams(self.speed.streams().into())
            .compare_first()
            .cancel(stop.clone())
            .on_progress(move |progress| shown.update(progress));
        let source = Source::path(task.item.path().unwrap_or(Path::new("")));
        match client.resume(upload_id, source, options).await {
            Ok(uploaded) => {
                row.done(uploaded.statistics.size);
                Ok(Outcome::Uploaded(Box::new(uploaded)))
            }
            Err(error) if error.kind() == Kind::Cancelled => Ok(Outcome::Stopped),
            Err(error) => Err(Failure::from(error).about(&task.item.name)),
        }
    }

    /// The one upload that shall get the bytes of a file.
    async fn named(&self, client: &Client, path: &Path) -> Result<Task, Failure> {
        let [id] = &self.uploads[..] else {
            return Err(Failure::usage("--from is for one upload").hint("name its id alone"));
        };
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        let upload = client.get_upload(id).await.map_err(|error| Failure::from(error).about(id))?;
        let origin = Origin::File {
            path: path.to_owned(),
            size: metadata.len(),
            modified: metadata.modified().ok(),
        };
        let item = Item { origin, name: upload.name };
        Ok(Task { item, record: None, upload_id: Some(upload.id) })
    }

    /// What this machine has begun, or that of it which is named.
    async fn remembered(
        &self,
        client: &Client,
        journal: Option<&Journal>,
    ) -> Result<(Vec<Task>, Vec<(String, Failure)>), Failure> {
        let mut records = journal.map(Journal::records).unwrap_or_default();
        let mut problems = Vec::new();
        if !self.uploads.is_empty() {
            for name in &self.uploads {
                if !records.iter().any(|record| is_meant(record, name)) {
                    let message = format!("{name}: this machine knows of no open upload of it");
                    problems.push((
                        name.clone(),
                        Failure::new(Exit::NotFound, message).hint(
                            "one that was begun elsewhere needs its id, and --from with the file",
                        ),
                    ));
                }
            }
            records.retain(|record| self.uploads.iter().any(|name| is_meant(record, name)));
        }
        let mut tasks = Vec::new();
        for record in records {
            let path = record.subject.path.clone();
            let modified = match unchanged(&record) {
                Ok(modified) => modified,
                Err(failure) => {
                    problems.push((record.subject.name, failure));
                    continue;
                }
            };
            if !is_open(client, &record).await? {
                terminal::note(&format!(
                    "{} is over on the server; forgotten",
                    record.subject.name
                ));
                if let Some(journal) = journal {
                    journal.forget(&record);
                }
                continue;
            }
            let origin = Origin::File { path, size: record.subject.size, modified: Some(modified) };
            let item = Item { origin, name: record.subject.name.clone() };
            tasks.push(Task { item, upload_id: record.upload_id.clone(), record: Some(record) });
        }
        Ok((tasks, problems))
    }

    /// What the upload was begun with.
    fn choices(&self, server: &str, task: &Task) -> Choices {
        let terms = task.record.as_ref().map(|record| record.terms.clone()).unwrap_or_default();
        Choices {
            remember_for: Some(server.to_owned()),
            on_conflict: match terms.replace {
                true => ConflictChoice::Replace,
                false => ConflictChoice::Fail,
            },
            content_type: Some(terms.content_type),
            labels: terms.metadata,
            part_size: terms.part_size,
            streams: Some(self.speed.streams()),
            parts_in_memory: None,
            quiet: self.display.quiet,
            sha256: None,
            by_time: false,
            wait: false,
        }
    }
}

/// Whether the command line means this one by its id or by its file.
fn is_meant(record: &Record, name: &str) -> bool {
    record.upload_id.as_deref() == Some(name)
        || std::path::absolute(name).is_ok_and(|path| path == record.subject.path)
}

/// When the file was changed, if that is when the upload was begun.
fn unchanged(record: &Record) -> Result<SystemTime, Failure> {
    let path = &record.subject.path;
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    match record.is_of(&metadata) {
        Some(modified) => Ok(modified),
        None => {
            let message = format!("{} has changed since its upload was begun", path.display());
            Err(Failure::new(Exit::Corrupt, message).hint(
                "`sluice upload` begins anew, and `sluice uploads abort` gives the old one up",
            ))
        }
    }
}

/// Whether the server still waits for bytes, or for the end.
async fn is_open(client: &Client, record: &Record) -> Result<bool, Failure> {
    let Some(id) = &record.upload_id else { return Ok(true) };
    match client.get_upload(id).await {
        Ok(upload) => Ok(matches!(upload.state(), State::Active | State::Completing)),
        Err(error) if error.reason() == Some(sluice_sdk::Reason::UploadNotFound) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
