//! Every write and every sync fails once, and once for good: nothing is
//! acknowledged that is not there, reading goes on, and what was begun can be
//! finished when the disk works again.

use std::{io::ErrorKind, sync::Arc};

use sluice_domain::{Epoch, OnConflict, PartNumber, PartPlan, Reason, UploadId};
use sluice_tests::Content;
use uuid::Uuid;

use crate::{
    caller::Caller,
    checker::{Since, check, check_readable, expect},
    clock::ManualClock,
    ledger::{Declared, Entry, Ledger, Shared, Stop, broken},
    server::Server,
    simulation::{Fault, Loss, SimulatedDisk, Strike},
};

const PART: u64 = 4096;

#[test]
fn an_error_that_passes() {
    fails_everywhere(ErrorKind::Other, false, Phase::Work);
}

#[test]
fn an_error_that_stays() {
    fails_everywhere(ErrorKind::Other, true, Phase::Work);
}

#[test]
fn a_disk_that_is_full_for_a_moment() {
    fails_everywhere(ErrorKind::StorageFull, false, Phase::Work);
}

#[test]
fn a_disk_that_is_full() {
    fails_everywhere(ErrorKind::StorageFull, true, Phase::Work);
}

#[test]
fn an_error_while_restarting() {
    fails_everywhere(ErrorKind::Other, false, Phase::Restart);
}

#[test]
fn a_disk_that_is_full_while_restarting() {
    fails_everywhere(ErrorKind::StorageFull, true, Phase::Restart);
}

#[tokio::test]
async fn a_part_needs_room_for_all_of_it() {
    let server = Server::boot(&SimulatedDisk::new(), &ManualClock::new()).expect("it boots");
    let id = UploadId::from_uuid(Uuid::from_u128(1));
    let plan = PartPlan { part_size: PART, size: None };
    let begin = async |number| {
        let claimed = server.context.blobs.claim_part(id, Epoch::FIRST, number).await;
        let mut writer = claimed.expect("it is free");
        writer.begin(plan).await.map(|()| writer).map_err(|error| error.reason)
    };
    let [one, two] = numbers([1, 2]);
    server.disk.set_room(PART - 1);
    assert_eq!(begin(one).await.err(), Some(Reason::StorageFull));
    assert!(server.disk.blob_names().is_empty(), "a part that cannot end was begun");

    // What one part has taken is not there for another, until it is given up.
    server.disk.set_room(2 * PART - 1);
    let first = begin(one).await.expect("there is room for one");
    assert_eq!(begin(two).await.err(), Some(Reason::StorageFull));
    first.abandon().await;
    assert!(begin(two).await.is_ok());
}

/// When the disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Work,
    Restart,
}

/// Lets each operation of a scenario fail in turn, until there is none left.
fn fails_everywhere(kind: ErrorKind, lasts: bool, phase: Phase) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be made");
    let start = runtime.block_on(Box::pin(prepare()));
    for after in 0.. {
        let fault = Fault { after, kind, lasts };
        let disk = start.disk.crash(Loss::Process);
        let scenario = Scenario {
            ledger: start.ledger.fork(),
            clock: ManualClock::new(),
            disk: Arc::clone(&disk),
            fault,
        };
        match runtime.block_on(Box::pin(scenario.run(phase))) {
            Err(stop) => panic!("{fault:?} hit {:?}: {stop:?}", disk.strikes()),
            Ok(true) => {}
            Ok(false) => {
                assert!(after > 100, "the scenario does too little: {after} operations");
                println!("{after} operations have failed one by one");
                return;
            }
        }
    }
}

/// A disk on which something has happened already.
struct Start {
    disk: Arc<SimulatedDisk>,
    ledger: Ledger,
}

async fn prepare() -> Start {
    let (disk, clock, ledger) = (SimulatedDisk::new(), ManualClock::new(), Ledger::default());
    let server = Server::boot(&disk, &clock).expect("a new disk boots");
    let caller = Caller::new(&server, &[]);
    for (name, parts) in [("kept", 3), ("doomed", 2), ("half", 4), ("unwanted", 2), ("new", 4)] {
        let entry = add(&ledger, name, parts);
        let done: Result<(), Stop> = async {
            match name {
                "kept" | "doomed" => {
                    caller.create(&entry).await?;
                    caller.finish(&entry).await
                }
                "half" | "unwanted" => {
                    caller.create(&entry).await?;
                    caller.send_parts(&entry, &numbers([1])).await
                }
                _ => Ok(()),
            }
        }
        .await;
        done.expect("nothing fails yet");
    }
    server.settle().await.expect("nothing fails yet");
    server.stop().await;
    Start { disk, ledger }
}

fn add(ledger: &Ledger, name: &str, parts: u64) -> Shared {
    let content = Content::new(parts, parts * PART - 7);
    ledger.add(|index| Entry::new(index, name, OnConflict::Fail, content, PART, Declared::Right))
}

fn numbers<const N: usize>(numbers: [u32; N]) -> [PartNumber; N] {
    numbers.map(|number| PartNumber::new(number).expect("from 1 on"))
}

struct Scenario {
    ledger: Ledger,
    clock: ManualClock,
    disk: Arc<SimulatedDisk>,
    fault: Fault,
}

impl Scenario {
    /// Answers whether there was an operation left that could fail.
    async fn run(mut self, phase: Phase) -> Result<bool, Stop> {
        let server = self.boot()?;
        self.disk.set_fault(self.fault);
        let was_due = match phase {
            Phase::Work => self.work_and_recover(server).await?,
            Phase::Restart => self.restart(server).await?,
        };
        // Whatever was acknowledged on the way survives a loss of power, too.
        self.disk = self.disk.crash(Loss::Power(self.fault.after));
        let server = self.boot()?;
        check(&server, &self.ledger, Since::Boot).await?;
        self.finish(&server).await?;
        Ok(was_due)
    }

    async fn work_and_recover(&self, server: Server) -> Result<bool, Stop> {
        self.work(&server).await?;
        if self.disk.strikes().iter().any(Strike::is_database_sync) {
            if !server.dies().await {
                return broken("the process goes on after a sync of the database has failed");
            }
            let was_due = self.disk.clear_fault();
            let too_late = add(&self.ledger, "too late", 1);
            return match Caller::new(&server, &[]).create(&too_late).await {
                Ok(()) => broken("a process that should have ended goes on"),
                Err(_) => Ok(was_due),
            };
        }
        if server.is_dead() {
            return broken("the process has ended itself for no reason");
        }
        // Reading goes on while nothing can be written.
        if self.fault.lasts {
            check_readable(&server, &self.ledger).await?;
        }
        let was_due = self.disk.clear_fault();
        check(&server, &self.ledger, Since::Boot).await?;
        self.finish(&server).await?;
        Ok(was_due)
    }

    /// All that was begun can be finished.
    async fn finish(&self, server: &Server) -> Result<(), Stop> {
        Caller::new(server, &[]).finish_all(&self.ledger).await?;
        expect(server, "the worker", server.settle().await)?;
        check(server, &self.ledger, Since::Settled).await
    }

    /// Does a little of everything; whatever fails is tried once.
    async fn work(&self, server: &Server) -> Result<(), Stop> {
        let tolerates = self.tolerates();
        let caller = Caller::new(server, &tolerates);
        let [_kept, doomed, half, unwanted, new] =
            self.ledger.entries().try_into().expect("five uploads");
        if tolerated(caller.create(&new).await)? {
            let (odd, even) = (numbers([1, 3]), numbers([4, 2]));
            let (left, right) =
                tokio::join!(caller.send_parts(&new, &odd), caller.send_parts(&new, &even));
            tolerated(left)?;
            tolerated(right)?;
            tolerated(caller.complete(&new, &[Reason::PartsMissing]).await)?;
        }
        tolerated(caller.finish(&half).await)?;
        tolerated(caller.delete(&doomed, &[]).await)?;
        tolerated(caller.resume_often(&unwanted, &[]).await)?;
        tolerated(caller.cancel(&unwanted, &[]).await)?;
        server.handle_events().await;
        Ok(())
    }

    /// Stops, boots and does a little, while something fails.
    async fn restart(&self, server: Server) -> Result<bool, Stop> {
        server.stop().await;
        if let Ok(server) = Server::boot(&self.disk, &self.clock) {
            let tolerates = self.tolerates();
            let caller = Caller::new(&server, &tolerates);
            let [_kept, _doomed, half, _unwanted, new] =
                self.ledger.entries().try_into().expect("five uploads");
            tolerated(caller.finish(&half).await)?;
            tolerated(caller.create(&new).await)?;
        }
        Ok(self.disk.clear_fault())
    }

    /// How a caller may learn of the fault. After a database sync that failed
    /// the process is gone, and callers hear nothing of the disk.
    fn tolerates(&self) -> Vec<Reason> {
        match self.fault.kind {
            ErrorKind::StorageFull => vec![Reason::StorageFull, Reason::StorageIo],
            _ => vec![Reason::StorageIo],
        }
    }

    fn boot(&self) -> Result<Server, Stop> {
        Server::boot(&self.disk, &self.clock)
            .or_else(|error| broken(format!("the server cannot boot: {error}")))
    }
}

/// Whether something was done; it may have been refused.
fn tolerated(outcome: Result<(), Stop>) -> Result<bool, Stop> {
    match outcome {
        Ok(()) => Ok(true),
        Err(Stop::Refused) => Ok(false),
        Err(stop) => Err(stop),
    }
}
