//! `sluice uploads ls --watch`: open uploads and how far they are.

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Write},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};
use sluice_sdk::{Client, Event, Upload, WatchQuery, v1::upload::State};

use crate::{
    event::print_event, exit::Exit, failure::Failure, interrupt, progress::file_bar,
    remote_upload::UploadView, terminal,
};

/// Shows uploads until Ctrl-C: one object for each change for programs, bars
/// on a terminal, and else a line for each change.
pub(super) async fn show(client: &Client, json: bool) -> Result<Exit, Failure> {
    let stop = interrupt::token();
    let mut bars = (!json && io::stdout().is_terminal()).then(Bars::new);
    let mut watcher = client.watch(WatchQuery::everything());
    let mut empty = true;
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => {
                bars.iter_mut().for_each(Bars::clear);
                return Ok(Exit::Interrupted);
            }
            event = watcher.event() => event,
        };
        match (event?, &mut bars) {
            // What is not in the snapshot is not open any more.
            (Event::SnapshotBegin, Some(bars)) => bars.clear(),
            (Event::SnapshotEnd, _) if empty && !json => {
                terminal::note("no upload is open; waiting for one");
            }
            (Event::Upload(upload), bars) => {
                empty = false;
                match bars {
                    Some(bars) => bars.update(&upload)?,
                    None if json => print_event("upload", &UploadView::from(&*upload))?,
                    None => writeln!(io::stdout().lock(), "{}", UploadView::from(&*upload).line())?,
                }
            }
            _ => {}
        }
    }
}

/// A bar for each open upload, and lines above for those that have ended.
struct Bars {
    all: MultiProgress,
    by_id: HashMap<String, ProgressBar>,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout_with_hz(10));
        Self { all, by_id: HashMap::new() }
    }

    fn update(&mut self, upload: &Upload) -> io::Result<()> {
        if matches!(upload.state(), State::Active | State::Completing) {
            let bar = self.by_id.entry(upload.id.clone()).or_insert_with(|| {
                self.all.add(file_bar(&upload.name, upload.size.map(i64::cast_unsigned)))
            });
            if let Some(size) = upload.size {
                bar.set_length(size.cast_unsigned());
            }
            bar.set_position(upload.persisted_bytes.cast_unsigned());
            return Ok(());
        }
        if let Some(bar) = self.by_id.remove(&upload.id) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
        self.all.println(UploadView::from(upload).line())
    }

    fn clear(&mut self) {
        for (_, bar) in self.by_id.drain() {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }
}
