//! Telling a caller what changes, as it changes.

mod live;
mod pace;
mod snapshot;

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use futures::{Stream, stream};
use sluice_domain::{File, FileId, Result, Upload, UploadId};

use self::{live::Live, snapshot::Snapshot};
use super::{Caller, Context, shutting_down};
use crate::ports::FeedPosition;

/// Records that are read at once; so many messages may wait for the caller.
const PAGE: u32 = 64;

/// What a caller wants to see.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// These uploads, and the files that they become.
    pub uploads: BTreeSet<UploadId>,
    /// These files.
    pub files: BTreeSet<FileId>,
}

impl Selection {
    /// Most ids in one selection.
    pub const MAX_IDS: usize = 1000;

    /// Whether nothing was named, which means everything.
    pub fn is_everything(&self) -> bool {
        self.uploads.is_empty() && self.files.is_empty()
    }

    fn has_upload(&self, id: UploadId) -> bool {
        self.is_everything() || self.uploads.contains(&id)
    }

    fn has_file(&self, id: FileId, upload: UploadId) -> bool {
        self.has_upload(upload) || self.files.contains(&id)
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum WatchEvent {
    /// The upload is like this now.
    Upload(Box<Upload>),
    /// The file is like this now.
    File(Box<File>),
    /// The file is gone.
    FileGone(FileId),
    /// The snapshot is whole.
    SnapshotEnd,
}

/// Something said to who watches.
#[derive(Debug, Clone)]
pub struct Message {
    /// What happened; nothing, if it only says that the stream is alive.
    pub event: Option<WatchEvent>,
    /// Where another stream goes on after this message, once the snapshot is
    /// whole.
    pub position: Option<FeedPosition>,
}

/// Watches what was selected: from `after` on, or from a snapshot on. Ends when
/// it is dropped, with an error, or with `SHUTTING_DOWN`.
///
/// The place where changes begin is taken before the snapshot is read. So what
/// changes meanwhile comes twice, and is not lost in between.
pub async fn watch(
    context: &Context,
    caller: Caller,
    selection: Selection,
    after: Option<FeedPosition>,
) -> Result<impl Stream<Item = Result<Message>> + Send + 'static> {
    let phase = match after {
        Some(position) => {
            let at_once = Duration::ZERO;
            context.changes.changes(caller.owner, position.clone(), 1, at_once).await?;
            Phase::Live(Live::new(position))
        }
        None => {
            let end = context.changes.end(caller.owner).await?;
            Phase::Snapshot(Snapshot::new(context, caller, &selection).await?, end)
        }
    };
    let watch =
        Watch { context: context.clone(), caller, selection, phase, ready: VecDeque::new() };
    Ok(stream::try_unfold(watch, |mut watch| async move {
        let stopping = watch.context.stopping.clone();
        let message = tokio::select! {
            biased;
            () = stopping.cancelled() => Err(shutting_down()),
            message = watch.next() => message,
        };
        Ok(Some((message?, watch)))
    }))
}

/// One caller's stream. Nothing happens while the caller does not read.
struct Watch {
    context: Context,
    caller: Caller,
    selection: Selection,
    phase: Phase,
    /// Messages that come next: at most a page.
    ready: VecDeque<Message>,
}

enum Phase {
    /// The snapshot, and where changes begin after it.
    Snapshot(Snapshot, FeedPosition),
    Live(Live),
}

impl Watch {
    async fn next(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(message);
            }
            let Self { context, caller, selection, phase, ready } = self;
            match phase {
                Phase::Live(live) => live.advance(context, *caller, selection, ready).await?,
                Phase::Snapshot(snapshot, end) => match snapshot.page(context, *caller).await? {
                    Some(events) => ready
                        .extend(events.map(|event| Message { event: Some(event), position: None })),
                    None => {
                        ready.push_back(Message {
                            event: Some(WatchEvent::SnapshotEnd),
                            position: Some(end.clone()),
                        });
                        *phase = Phase::Live(Live::new(end.clone()));
                    }
                },
            }
        }
    }
}
