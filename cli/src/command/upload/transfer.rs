//! The upload of one file: new, resumed, or found to be there already.

use std::{path::Path, sync::Arc, time::Duration};

use sluice_domain::DEFAULT_PART_SIZE;
use sluice_sdk::{
    CancellationToken, Client, Error, File, FileChange, Kind, Reason, Source, UploadOptions,
    Uploaded, v1::file::State,
};
use tokio::{
    sync::Semaphore,
    time::{self, Instant},
};
use uuid::Uuid;

use super::{
    choices::Choices,
    collect::{Item, Origin},
    existing::Existing,
    follow::Follow,
    journal::{Entry, Journal, Terms},
};
use crate::{
    exit::Exit,
    failure::Failure,
    gate::Gate,
    local_file::has_content_of,
    modified,
    progress::{Board, Row},
    terminal, units,
};

/// How many mebibytes may be in flight, each file counting for
/// [`MOST_WEIGHT`] at most: so eight large files are.
const MEBIBYTES_IN_FLIGHT: usize = 64;
const MOST_WEIGHT: u32 = 8;
/// How often to ask whether a file can be read.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Servers sweep every half a minute what is older than ten seconds.
const SWEPT_WITHIN: Duration = Duration::from_secs(60);
/// Sending less than this costs no more than asking whether it is there.
const ASK_FROM: u64 = 128 * 1024;

/// What all uploads of a command share.
pub(crate) struct Uploader<'a> {
    client: &'a Client,
    choices: &'a Choices,
    journal: Option<Journal>,
    board: Arc<Board>,
    stop: CancellationToken,
    gate: Gate,
    /// Mebibytes that may be in flight.
    room: Semaphore,
}

/// What became of one file.
pub(crate) enum Outcome {
    Uploaded(Box<Uploaded>),
    /// The server has a file of this name and content.
    AlreadyThere(Box<File>),
    /// It is not there, and nothing shall be done about it.
    WouldUpload,
    /// The command was stopped before it was whole.
    Stopped,
}

impl<'a> Uploader<'a> {
    pub(crate) fn new(
        client: &'a Client,
        choices: &'a Choices,
        gate: Gate,
        board: &Arc<Board>,
        stop: &CancellationToken,
    ) -> Self {
        Self {
            client,
            choices,
            journal: choices.journal(),
            board: board.clone(),
            stop: stop.clone(),
            gate,
            room: Semaphore::new(MEBIBYTES_IN_FLIGHT),
        }
    }

    /// Uploads a file unless the server has the same.
    pub(crate) async fn upload(&self, item: &Item, existing: Existing) -> Result<Outcome, Failure> {
        let mut pass = self.gate.enter().await;
        let weight = item.size().map_or(MOST_WEIGHT, weight);
        // Never closed.
        let _room = self.room.acquire_many(weight).await;
        if self.stop.is_cancelled() {
            return Ok(Outcome::Stopped);
        }
        let row = Arc::new(self.board.row(&item.name, item.size()));
        if let Some(file) = self.existing(item, existing).await? {
            if self.is_same(item, &file).await {
                self.note_time(item, &file).await;
                row.resumed(file.size.cast_unsigned());
                row.done(file.size.cast_unsigned());
                return Ok(Outcome::AlreadyThere(Box::new(file)));
            }
            self.choices.check_replacement(&item.name)?;
        }
        let sent = match &item.origin {
            Origin::File { path, .. } => self.upload_file(item, path, &row).await,
            Origin::Pipe(path) => self.upload_stream(item, Source::path(path), &row).await,
            Origin::StandardInput => {
                self.upload_stream(item, Source::reader(tokio::io::stdin()), &row).await
            }
        };
        let error = match sent {
            Ok(mut uploaded) => {
                if self.choices.wait {
                    uploaded.file = self.until_ready(uploaded.file).await?;
                }
                row.done(uploaded.statistics.size);
                pass.moved(uploaded.statistics.sent);
                return Ok(Outcome::Uploaded(Box::new(uploaded)));
            }
            Err(failed) => failed,
        };
        if let Some(file) = self.same_file(item, &error).await {
            row.done(file.size.cast_unsigned());
            return Ok(Outcome::AlreadyThere(Box::new(file)));
        }
        if error.kind() == Kind::Cancelled {
            return Ok(Outcome::Stopped);
        }
        Err(Failure::from(error).about(&item.name))
    }

    /// The file once it can be read, or the reason why it never will be.
    async fn until_ready(&self, mut file: File) -> Result<File, Failure> {
        let mut pause = SHORTEST_PAUSE;
        while file.state() == State::Processing && !self.stop.is_cancelled() {
            time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            file = self.client.get(&file.id).await?;
        }
        match (file.state(), &file.error) {
            (State::Failed | State::Quarantined, error) => {
                let why = error.as_ref().map_or("it cannot be read", |error| &error.message);
                Err(Failure::new(Exit::Corrupt, format!("{}: {why}", file.name)))
            }
            _ => Ok(file),
        }
    }

    /// What would become of a file, without doing it.
    pub(crate) async fn would_upload(
        &self,
        item: &Item,
        existing: Existing,
    ) -> Result<Outcome, Failure> {
        if self.stop.is_cancelled() {
            return Ok(Outcome::Stopped);
        }
        let existing = match existing {
            Existing::NotAsked => self.find(item).await?,
            Existing::File(file) => Some(*file),
            Existing::Free => None,
        };
        let Some(file) = existing else { return Ok(Outcome::WouldUpload) };
        if self.is_same(item, &file).await {
            return Ok(Outcome::AlreadyThere(Box::new(file)));
        }
        self.choices.check_replacement(&item.name)?;
        Ok(Outcome::WouldUpload)
    }

    /// The file that has the name already, if it is worth while to know.
    async fn existing(&self, item: &Item, known: Existing) -> Result<Option<File>, Failure> {
        match known {
            Existing::File(file) => Ok(Some(*file)),
            Existing::Free => Ok(None),
            Existing::NotAsked if item.size().is_some_and(|size| size >= ASK_FROM) => {
                self.find(item).await
            }
            Existing::NotAsked => Ok(None),
        }
    }

    async fn find(&self, item: &Item) -> Result<Option<File>, Failure> {
        let found = self.client.find(&item.name).await;
        found.map_err(|error| Failure::from(error).about(&item.name))
    }

    async fn is_same(&self, item: &Item, file: &File) -> bool {
        let Origin::File { path, size, modified } = &item.origin else { return false };
        if self.choices.by_time && modified::is_as_recorded(*size, *modified, file) {
            return true;
        }
        // A checksum that nobody has checked says nothing.
        let checksums = file.checksums.as_ref();
        let as_declared = self.choices.sha256.is_none_or(|declared| {
            checksums.is_some_and(|recorded| recorded.sha256[..] == declared[..])
        });
        as_declared && has_content_of(path, file).await
    }

    /// The server learns the time of a file that had to be read because of it,
    /// so that it need not be read the next time.
    async fn note_time(&self, item: &Item, file: &File) {
        if let Some(modified) = item.modified()
            && self.choices.by_time
            && modified::recorded(file) != Some(modified)
        {
            let labels = modified::labels_with(file, modified);
            let change = FileChange::default().metadata(labels).if_etag(&file.etag);
            // Without it, nothing is worse than it was.
            let _ = self.client.update(&file.id, change).await;
        }
    }

    async fn upload_stream(
        &self,
        item: &Item,
        source: Source,
        row: &Arc<Row>,
    ) -> Result<Uploaded, Error> {
        let request_id = Uuid::now_v7().to_string();
        let terms = self.choices.terms(item);
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
        let terms = self.choices.terms(item);
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
        let (Origin::File { .. }, Some(Reason::FileExists)) = (&item.origin, error.reason()) else {
            return None;
        };
        let file = self.file_in_the_way(error.metadata().get("file_id")?).await?;
        let same = file.name == item.name && self.is_same(item, &file).await;
        if same && let Some(entry) = self.entry(item) {
            entry.forget();
            self.give_up(error.upload_id()).await;
        }
        same.then_some(file)
    }

    /// A file that has a name, or will have it in a moment: a server that was
    /// killed while it completed an upload goes on with that when it sweeps.
    async fn file_in_the_way(&self, file_id: &str) -> Option<File> {
        let started = Instant::now();
        let mut pause = SHORTEST_PAUSE;
        loop {
            match self.client.get(file_id).await {
                Ok(file) => return Some(file),
                Err(error) if error.reason() != Some(Reason::FileNotFound) => return None,
                Err(_) if started.elapsed() > SWEPT_WITHIN || self.stop.is_cancelled() => {
                    return None;
                }
                Err(_) => time::sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Where a file that is worth it is remembered.
    fn entry(&self, item: &Item) -> Option<Entry> {
        let Origin::File { path, size, modified } = &item.origin else { return None };
        let in_parts = *size > self.choices.part_size.unwrap_or(DEFAULT_PART_SIZE);
        let journal = self.journal.as_ref().filter(|_| in_parts)?;
        journal.entry(path, &item.name, *size, (*modified)?)
    }

    fn options(&self, item: &Item, terms: &Terms, request_id: &str) -> UploadOptions {
        self.choices.options(&item.name, terms).request_id(request_id).cancel(self.stop.clone())
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
            board: (!self.choices.quiet).then(|| self.board.clone()),
            record: entry.map(|entry| (entry.clone(), terms.clone(), request_id.to_owned())),
        }
    }

    fn tell(&self, print: impl FnOnce()) {
        if !self.choices.quiet {
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
