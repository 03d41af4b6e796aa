//! Sending one file, or going on with what an earlier run has sent of it.

use std::{path::Path, sync::Arc, time::Duration};

use sluice_domain::DEFAULT_PART_SIZE;
use sluice_sdk::{Error, Kind, Reason, Source, UploadOptions, Uploaded};
use uuid::Uuid;

use super::{
    collect::{Item, Origin},
    follow::Follow,
    journal::{Entry, Terms},
    transfer::Uploader,
};
use crate::{progress::Row, terminal, units};

impl Uploader<'_> {
    /// Uploads what can be read only once.
    pub(super) async fn upload_stream(
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
    pub(super) async fn upload_file(
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
    pub(super) async fn give_up(&self, upload_id: Option<&str>) {
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

    /// Where a file that is worth it is remembered.
    pub(super) fn entry(&self, item: &Item) -> Option<Entry> {
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
