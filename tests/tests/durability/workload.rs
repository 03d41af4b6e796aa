//! Callers who do all kinds of things at once.

use std::time::Duration;

use futures::future::try_join_all;
use rand::{RngExt, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use sluice_domain::{OnConflict, Reason, UploadState};
use sluice_server::service::ingest::Target;
use sluice_tests::Content;

use crate::{
    caller::Caller,
    ledger::{Declared, Entry, Ledger, Shared, Stop, lock},
    script::Script,
    server::Server,
};

const CALLERS: u64 = 3;

/// Why a stream may be refused when others work on the same upload, or when it
/// is damaged on purpose.
const RACES: [Reason; 6] = [
    Reason::ChecksumMismatch,
    Reason::ContentConflict,
    Reason::PartBusy,
    Reason::StaleWriter,
    Reason::StreamIdle,
    Reason::UploadNotActive,
];

/// Lets callers work at the same time, each for a while, and the worker beside
/// them. Ends early when the machine goes off.
pub(crate) async fn run(server: &Server, ledger: &Ledger, seed: u64) -> Result<(), Stop> {
    let visitors = (0..CALLERS).map(|lane| async move {
        let rng = SmallRng::seed_from_u64(seed.wrapping_add(lane));
        let mut visitor = Visitor { caller: Caller::new(server, &[]), ledger, rng };
        for _ in 0..visitor.rng.random_range(5..25) {
            match visitor.act().await {
                Ok(()) | Err(Stop::Refused) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    });
    let worker = async {
        loop {
            server.handle_events().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        outcome = try_join_all(visitors) => outcome.map(drop),
        () = worker => Ok(()),
    }
}

/// A caller who does this and that.
struct Visitor<'a> {
    caller: Caller<'a>,
    ledger: &'a Ledger,
    rng: SmallRng,
}

impl Visitor<'_> {
    async fn act(&mut self) -> Result<(), Stop> {
        let entries = self.ledger.entries();
        let open: Vec<_> = entries.iter().filter(|entry| lock(entry).is_open()).cloned().collect();
        let Some(entry) = open.choose(&mut self.rng) else { return self.create().await };
        let ended = [Reason::UploadNotActive];
        match self.rng.random_range(0..24) {
            0..3 if open.len() < 5 => self.create().await,
            0..10 => self.write(entry).await,
            10..12 => self.write_whole().await,
            12..16 => {
                let refusals = [Reason::PartsMissing, Reason::UploadNotActive];
                self.caller.complete(entry, &refusals).await
            }
            16..18 => self.look(&entries).await,
            18..20 => self.caller.resume(entry, &ended).await.map(drop),
            20 => self.caller.cancel(entry, &ended).await,
            21 => self.caller.resume_often(entry, &ended).await,
            _ => self.delete(&entries).await,
        }
    }

    async fn create(&mut self) -> Result<(), Stop> {
        let entry = self.new_entry();
        self.caller.create(&entry).await
    }

    fn new_entry(&mut self) -> Shared {
        let rng = &mut self.rng;
        let part_size = match rng.random_range(0..20) {
            0..14 => 4096,
            14..19 => 64 * 1024,
            // Larger than what is written in one go.
            _ => 2 * 1024 * 1024,
        };
        let parts = if part_size > 1024 * 1024 { 2 } else { 6 };
        let size = match rng.random_range(0..20) {
            0 => 0,
            1..6 => part_size * rng.random_range(1..=parts),
            _ => rng.random_range(1..=part_size * parts),
        };
        let declared = match rng.random_range(0..10) {
            0..7 => Declared::Nothing,
            7..9 => Declared::Right,
            _ => Declared::Wrong,
        };
        let shared_name =
            rng.random_ratio(1, 5).then(|| format!("shared/{}", rng.random_range(0..2)));
        let knows_size = rng.random_bool(0.7);
        let content = Content::new(rng.random(), size);
        self.ledger.add(|index| {
            let on_conflict =
                if shared_name.is_some() { OnConflict::Replace } else { OnConflict::Fail };
            let name = shared_name.unwrap_or_else(|| format!("own/{index}"));
            let entry = Entry::new(index, &name, on_conflict, content, part_size, declared);
            if knows_size { entry } else { entry.of_unknown_size() }
        })
    }

    /// A few streams at once: most with what is missing, some with what is there
    /// already, a few with other bytes, damaged or cut.
    async fn write(&mut self, entry: &Shared) -> Result<(), Stop> {
        let status = self.caller.look(entry).await?;
        if status.upload.state != UploadState::Active {
            return Ok(());
        }
        let target = Target::Existing { id: status.upload.id, epoch: status.upload.epoch };
        let count = self.rng.random_range(1..=3);
        let scripts: Vec<_> = (0..count)
            .filter_map(|_| Script::random(&lock(entry), &status.persisted, &mut self.rng))
            .collect();
        let streams = scripts.into_iter().map(|script| async {
            match self.caller.send(entry, target.clone(), script, &RACES).await {
                Err(Stop::Refused) => Ok(()),
                outcome => outcome,
            }
        });
        try_join_all(streams).await.map(drop)
    }

    /// A stream that does everything: creates, writes, completes.
    async fn write_whole(&mut self) -> Result<(), Stop> {
        let entry = self.new_entry();
        let (script, request) = {
            let mut entry = lock(&entry);
            entry.tried.complete = true;
            let parts = entry.part_numbers();
            (Script::honest(&entry, &parts, 0).completing(), entry.request.clone())
        };
        self.caller.send(&entry, Target::Create(request), script, &RACES).await
    }

    async fn look(&mut self, entries: &[Shared]) -> Result<(), Stop> {
        let Some(entry) = entries.choose(&mut self.rng) else { return Ok(()) };
        let is_known = lock(entry).id.is_some();
        if is_known {
            self.caller.look(entry).await.map(drop)
        } else {
            self.caller.create(entry).await
        }
    }

    async fn delete(&mut self, entries: &[Shared]) -> Result<(), Stop> {
        let is_there = |entry: &&Shared| {
            let entry = lock(entry);
            entry.completed.is_some() && !entry.is_deleted
        };
        let there: Vec<_> = entries.iter().filter(is_there).collect();
        let Some(entry) = there.choose(&mut self.rng) else { return Ok(()) };
        self.caller.delete(entry, &[Reason::FileNotFound]).await
    }
}
