//! Bytes that change on the disk are never given out.

use futures::TryStreamExt;
use rand::RngExt;
use sluice_domain::{File, OnConflict, Reason, Result};
use sluice_server::service::reading;
use sluice_tests::{Content, Seed};

use crate::{
    caller::Caller,
    clock::ManualClock,
    ledger::{Declared, Entry, Ledger, lock},
    server::{CALLER, Server},
    simulation::SimulatedDisk,
};

const FLIPS: usize = 1000;

#[tokio::test]
async fn every_flipped_bit_is_noticed() {
    let seed = Seed::of("every_flipped_bit_is_noticed");
    let mut rng = seed.rng(0);
    let disk = SimulatedDisk::new();
    let server = Server::boot(&disk, &ManualClock::new()).expect("a new disk boots");
    let size = 5 * 4096 + 100;
    let file = stored(&server, Content::new(seed.value(), size)).await;
    let [name] = disk.blob_names().try_into().expect("one file");
    read(&server, &file, 0, 0).await.expect("nothing is wrong yet");

    for _ in 0..FLIPS {
        let bit = rng.random_range(0..size * 8);
        disk.flip_bit(&name, bit);
        // One byte is enough, and so is any range that shares a block with it.
        for (offset, limit) in [(0, 0), (bit / 8, 1), (bit / 8 / 4096 * 4096, 1)] {
            let error = read(&server, &file, offset, limit).await.expect_err("a bit has changed");
            assert_eq!(error.reason, Reason::StoredDataCorrupt, "bit {bit}: {error}");
        }
        disk.flip_bit(&name, bit);
    }
    read(&server, &file, 0, 0).await.expect("everything is as it was");
}

async fn stored(server: &Server, content: Content) -> File {
    let ledger = Ledger::default();
    let entry = ledger
        .add(|index| Entry::new(index, "file", OnConflict::Fail, content, 4096, Declared::Nothing));
    let caller = Caller::new(server, &[]);
    caller.create(&entry).await.expect("it is created");
    caller.finish(&entry).await.expect("it is completed");
    let file = lock(&entry).completed.clone();
    file.expect("it is complete")
}

async fn read(server: &Server, file: &File, offset: u64, limit: u64) -> Result<()> {
    let (_, chunks) = reading::read(&server.context, CALLER, file.id, offset, limit).await?;
    chunks.try_for_each(|_| std::future::ready(Ok(()))).await
}
