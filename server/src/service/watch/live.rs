//! Changes as they happen.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use sluice_domain::{Result, Upload};
use tokio::time::{Instant, sleep_until};

use super::{
    Caller, Context, Message, PAGE, Selection, WatchEvent,
    pace::{Pace, Verdict},
};
use crate::ports::{Change, ChangePage, Changed, FeedPosition};

/// Pause between two looks at the feed. Changes that come close together are
/// read together, so that a busy account costs each watcher ten looks a second.
const PAUSE: Duration = Duration::from_millis(100);

/// After so long without a message, one shows that the stream is alive.
const RENEWAL: Duration = Duration::from_secs(15);

/// Follows the feed of one account.
pub(super) struct Live {
    /// Everything up to here was said, or is held back by `pace`.
    read: FeedPosition,
    pace: Pace,
    next_look: Instant,
    renew_at: Instant,
}

impl Live {
    pub(super) fn new(read: FeedPosition) -> Self {
        let now = Instant::now();
        Self { read, pace: Pace::default(), next_look: now, renew_at: now + RENEWAL }
    }

    /// Waits for something to say. May come back with nothing.
    pub(super) async fn advance(
        &mut self,
        context: &Context,
        caller: Caller,
        selection: &Selection,
        ready: &mut VecDeque<Message>,
    ) -> Result<()> {
        self.pace.forget(Instant::now());
        if self.say_held(context, caller, ready).await? {
            return Ok(());
        }
        if let Some(room_at) = self.pace.room_at() {
            sleep_until(room_at).await;
            return Ok(());
        }
        sleep_until(self.next_look).await;
        let now = Instant::now();
        let until = self.pace.next_due().map_or(self.renew_at, |due| due.min(self.renew_at));
        let page = context
            .changes
            .changes(caller.owner, self.read.clone(), PAGE, until.saturating_duration_since(now))
            .await?;
        let now = Instant::now();
        self.next_look = if page.changes.len() < PAGE as usize { now + PAUSE } else { now };
        self.take(context, caller, selection, page, ready).await?;
        if ready.is_empty() && now >= self.renew_at {
            let position = self.position(&self.read);
            ready.push_back(Message { event: None, position: Some(position) });
            self.renew_at = now + RENEWAL;
        }
        Ok(())
    }

    /// Says what was held back long enough. Answers whether there was any.
    async fn say_held(
        &mut self,
        context: &Context,
        caller: Caller,
        ready: &mut VecDeque<Message>,
    ) -> Result<bool> {
        let before_all = self.position(&self.read);
        let due = self.pace.take_due(Instant::now(), PAGE as usize);
        if due.is_empty() {
            return Ok(false);
        }
        let uploads = context.uploads.uploads(caller.owner, due).await?;
        let now = Instant::now();
        uploads.iter().for_each(|upload| self.pace.said(upload, now));
        let events = uploads.into_iter().map(|it| (of_upload(it), before_all.clone()));
        self.say(events, ready);
        // Only after the last of them nothing of this is left to say.
        if let Some(last) = ready.back_mut() {
            last.position = Some(self.position(&self.read));
        }
        Ok(true)
    }

    /// Says what is new, with the records as they are now.
    async fn take(
        &mut self,
        context: &Context,
        caller: Caller,
        selection: &Selection,
        page: ChangePage,
        ready: &mut VecDeque<Message>,
    ) -> Result<()> {
        let mut before = std::mem::replace(&mut self.read, page.end);
        let (mut uploads, mut files) = (Vec::new(), Vec::new());
        for change in &page.changes {
            match change.what {
                Changed::Upload(id) if selection.has_upload(id) => uploads.push(id),
                Changed::File { id, upload } if selection.has_file(id, upload) => files.push(id),
                _ => {}
            }
        }
        let mut uploads: HashMap<_, _> = match uploads.is_empty() {
            true => Vec::new(),
            false => context.uploads.uploads(caller.owner, uploads).await?,
        }
        .into_iter()
        .map(|upload| (upload.id, upload))
        .collect();
        let mut files: HashMap<_, _> = match files.is_empty() {
            true => Vec::new(),
            false => context.files.files(caller.owner, files).await?,
        }
        .into_iter()
        .map(|file| (file.id, file))
        .collect();

        let now = Instant::now();
        let mut events = Vec::new();
        for Change { what, position } in page.changes {
            // A record that is gone by now has its own entry, or is forgotten.
            let event = match what {
                Changed::Upload(id) => {
                    uploads.remove(&id).and_then(|it| self.paced(it, &before, now))
                }
                Changed::File { id, .. } => {
                    files.remove(&id).map(|file| WatchEvent::File(Box::new(file)))
                }
                Changed::FileGone { id, upload } => {
                    selection.has_file(id, upload).then_some(WatchEvent::FileGone(id))
                }
            };
            before = position;
            events.extend(event.map(|event| (event, before.clone())));
        }
        self.say(events.into_iter(), ready);
        Ok(())
    }

    /// The event of an upload, unless it must wait.
    fn paced(&mut self, upload: Upload, before: &FeedPosition, now: Instant) -> Option<WatchEvent> {
        match self.pace.judge(&upload, before, now) {
            Verdict::Say => Some(of_upload(upload)),
            Verdict::Wait => None,
        }
    }

    fn say(
        &mut self,
        events: impl Iterator<Item = (WatchEvent, FeedPosition)>,
        ready: &mut VecDeque<Message>,
    ) {
        for (event, position) in events {
            let position = Some(self.position(&position));
            ready.push_back(Message { event: Some(event), position });
            self.renew_at = Instant::now() + RENEWAL;
        }
    }

    /// Where another stream must go on so that it also sees what is held back
    /// here.
    fn position(&self, said: &FeedPosition) -> FeedPosition {
        self.pace.first_held().map_or(said, |held| held.min(said)).clone()
    }
}

fn of_upload(upload: Upload) -> WatchEvent {
    WatchEvent::Upload(Box::new(upload))
}
