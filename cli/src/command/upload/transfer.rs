//! The upload of one file: new, resumed, or found to be there already.

use std::{path::Path, sync::Arc, time::Duration};

use sluice_domain::DEFAULT_PART_SIZE;
use sluice_sdk::{
    CancellationToken, Client, Error, File, Kind, Reason, Source, UploadOptions, Uploaded,
};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    ConflictChoice, MOST_WEIGHT, UploadArguments,
    collect::{Item, Origin},
    follow::Follow,
    journal::{Entry, Journal, Terms},
};
use crate::{
    failure::Failure,
    local_file::has_content_of,
    progress::{Board, Row},
    terminal, units,
};

/// What all uploads of a command share.
pub(super) struct Uploader<'a> {
    pub(super) client: &'a Client,
    pub(super) arguments: &'a UploadArguments,
    pub(super) journal: Option<Journal>,
    pub(super) board: Arc<Board>,
    pub(super) stop: CancellationToken,
    /// Mebibytes that may be in flight.
    pub(super) room: Semaphore,
}

/// What became of one file.
pub(super) enum Outcome {
    Uploaded(Uploaded),
    /// The server has a file of this name and content.
    AlreadyThere(File),
    /// The command was stopped before it was whole.
    Stopped,
}

impl Uploader<'_> {
    pub(super) async fn upload(&self, item: &Item) -> Result<Outcome, Failure> {
        let weight = item.size().map_or(MOST_WEIGHT, weight);
        // Never closed.
        let _room = self.room.acquire_many(weight).await;
        if self.stop.is_cancelled() {
            return Ok(Outcome::Stopped);
        }
        let row = Arc::new(self.board.row(&item.name, item.size()));
        let sent = match &item.origin {
            Origin::File { path, .. } => self.upload_file(item, path, &row).await,
            Origin::Pipe(path) => self.upload_stream(item, Source::path(path), &row).await,
            Origin::StandardInput => {
                self.upload_stream(item, Source::reader(tokio::io::stdin()), &row).await
            }
        };
        let error = match sent {
            Ok(uploaded) => {
                row.done(uploaded.statistics.size);
                return Ok(Outcome::Uploaded(uploaded));
            }
            Err(failed) => failed,
        };
        if let Some(file) = self.same_file(item, &error).await {
            row.done(file.size.cast_unsigned());
            return Ok(Outcome::AlreadyThere(file));
        }
        if error.kind() == Kind::Cancelled {
            return Ok(Outcome::Stopped);
        }
        Err(Failure::from(error).about(&item.name))
    }

    async fn upload_stream(
        &self,
        item: &Item,
        source: Source,
        row: &Arc<Row>,
    ) -> Result<Uploaded, Error> {
        let request_id = Uuid::now_v7().to_string();
        let terms = self.terms(&item.name);
        let row = row.clone();
        let options = self.options(item, &terms, &request_id);
        let options = options.on_progress(move |progress| row.update(progress));
        let sent = self.client.upload(source, options).await;
        if let Err(error) = &sent {
            // What was read cannot be read again.
            self.give_up(error.upload_id()).await;
        }
        sent
    }

    /// Uploads a file, or goes on with what an earlier run began.
    async fn upload_file(
        &self,
        item: &Item,
        path: &Path,
        row: &Arc<Row>,
    ) -> Result<Uploaded, Error> {
        let entry = self.entry(item);
        let earlier = entry.as_ref().and_then(Entry::load);
        let terms = self.terms(&item.name);
        let source = || Source::path(path);

        if let (Some(entry), Some(record)) = (&entry, &earlier)
            && let Some(upload_id) = &record.upload_id
        {
            let follow = self.follow(item, row, Some(entry), &record.terms, &record.request_id);
            let options = self.options(item, &terms, &record.request_id).on_progress(follow.call());
            match self.client.resume(upload_id, source(), options).await {
                Err(error) if is_over(&error) => {
                    let why = match error.kind() {
                        Kind::SourceChanged => "the file has changed",
                        _ => error.message(),
                    };
                    self.tell(|| terminal::note(&format!("{}: starting anew: {why}", item.name)));
                    entry.forget();
                    self.give_up(Some(upload_id)).await;
                    row.resumed(0);
                }
                done => return self.conclude(entry, item, done).await,
            }
        }

        // The server may know the request without this side knowing the answer.
        let request_id = earlier
            .filter(|record| record.upload_id.is_none() && record.terms == terms)
            .map_or_else(|| Uuid::now_v7().to_string(), |record| record.request_id);
        if let Some(entry) = &entry
            && let Err(error) = entry.save(&terms, &request_id, None)
        {
            let warning = format!("{}: this upload cannot be resumed later: {error}", item.name);
            self.tell(|| terminal::warning(&warning));
        }
        let follow = self.follow(item, row, entry.as_ref(), &terms, &request_id);
        let options = self.options(item, &terms, &request_id).on_progress(follow.call());
        let done = self.client.upload(source(), options).await;
        match &entry {
            Some(entry) => self.conclude(entry, item, done).await,
            None => done,
        }
    }

    /// Forgets what is over, and says how to go on with what is not.
    async fn conclude(
        &self,
        entry: &Entry,
        item: &Item,
        done: Result<Uploaded, Error>,
    ) -> Result<Uploaded, Error> {
        let error = match &done {
            Ok(_) => {
                entry.forget();
                return done;
            }
            Err(error) => error,
        };
        let can_go_on = error.kind() == Kind::Cancelled || error.is_transient();
        match error.upload_id() {
            Some(upload_id) if can_go_on => {
                let kept = self.kept(item, upload_id).await;
                self.tell(|| terminal::note(&kept));
            }
            // The server may have opened it all the same.
            None if can_go_on => {}
            // Another choice or another process may complete it.
            Some(_) if !is_over(error) => {}
            upload_id => {
                entry.forget();
                self.give_up(upload_id).await;
            }
        }
        done
    }

    /// An upload that no file here belongs to any more shall not take room on
    /// the server until it expires.
    async fn give_up(&self, upload_id: Option<&str>) {
        if let Some(upload_id) = upload_id {
            let once = self.client.with_give_up_after(Duration::ZERO);
            let _ = once.cancel_upload(upload_id).await;
        }
    }

    /// How much of a file there is to go on from.
    async fn kept(&self, item: &Item, upload_id: &str) -> String {
        let once = self.client.with_give_up_after(Duration::ZERO);
        let kept = match once.get_upload(upload_id).await {
            Ok(upload) => {
                let kept = upload.persisted_bytes.cast_unsigned();
                let size = item.size().unwrap_or(kept);
                format!(
                    "{} % ({} of {}) are on the server",
                    units::percent(kept, size),
                    units::bytes(kept),
                    units::bytes(size)
                )
            }
            Err(_) => "what the server has of it is kept".to_owned(),
        };
        format!("{}: {kept}; the same command goes on from there", item.name)
    }

    /// The file that is in the way, if it is the same.
    async fn same_file(&self, item: &Item, error: &Error) -> Option<File> {
        let (Origin::File { path, .. }, Some(Reason::FileExists)) = (&item.origin, error.reason())
        else {
            return None;
        };
        let file = self.client.get(error.metadata().get("file_id")?).await.ok()?;
        let same = file.name == item.name && has_content_of(path, &file).await;
        if same && let Some(entry) = self.entry(item) {
            entry.forget();
            self.give_up(error.upload_id()).await;
        }
        same.then_some(file)
    }

    /// Where a file that is worth it is remembered.
    fn entry(&self, item: &Item) -> Option<Entry> {
        let Origin::File { path, size, modified } = &item.origin else { return None };
        let in_parts = *size > self.arguments.part_size.unwrap_or(DEFAULT_PART_SIZE);
        let journal = self.journal.as_ref().filter(|_| in_parts)?;
        journal.entry(path, &item.name, *size, (*modified)?)
    }

    fn terms(&self, name: &str) -> Terms {
        let content_type = self.arguments.content_type.clone();
        Terms {
            content_type: content_type.unwrap_or_else(|| {
                mime_guess::from_path(name).first_raw().unwrap_or_default().to_owned()
            }),
            metadata: self.arguments.labels(),
            part_size: self.arguments.part_size,
            replace: self.arguments.on_conflict == ConflictChoice::Replace,
        }
    }

    fn options(&self, item: &Item, terms: &Terms, request_id: &str) -> UploadOptions {
        let options = UploadOptions::new()
            .name(&item.name)
            .content_type(&terms.content_type)
            .metadata(terms.metadata.clone())
            .on_conflict(self.arguments.on_conflict.into())
            .streams(self.arguments.streams.into())
            .request_id(request_id)
            .cancel(self.stop.clone());
        match terms.part_size {
            Some(part_size) => options.part_size(part_size),
            None => options,
        }
    }

    fn follow(
        &self,
        item: &Item,
        row: &Arc<Row>,
        entry: Option<&Entry>,
        terms: &Terms,
        request_id: &str,
    ) -> Follow {
        Follow {
            name: item.name.clone(),
            size: item.size().unwrap_or(0),
            row: row.clone(),
            board: (!self.arguments.display.quiet).then(|| self.board.clone()),
            record: entry.map(|entry| (entry.clone(), terms.clone(), request_id.to_owned())),
        }
    }

    fn tell(&self, print: impl FnOnce()) {
        if !self.arguments.display.quiet {
            self.board.print(print);
        }
    }
}

/// Of a file among those in flight, in mebibytes.
fn weight(size: u64) -> u32 {
    let mebibytes = u32::try_from(size >> 20).unwrap_or(u32::MAX);
    mebibytes.saturating_add(1).min(MOST_WEIGHT)
}

/// Whether the upload that was begun cannot be gone on with.
fn is_over(error: &Error) -> bool {
    error.kind() == Kind::SourceChanged
        || matches!(
            error.reason(),
            Some(
                Reason::UploadNotFound
                    | Reason::UploadExpired
                    | Reason::UploadNotActive
                    | Reason::RequestIdReused
                    | Reason::ContentConflict
            )
        )
}
