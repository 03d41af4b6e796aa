//! The check of the check: with any sync left out, it finds a loss.

use sluice_tests::Seed;

use crate::{power_loss::live, simulation::Lie};

/// Lives within which the loss must show.
const LIVES: u64 = 60;

fn is_noticed(lie: Lie) {
    let seed = Seed::of("dropped_syncs");
    let noticed = (0..LIVES).find_map(|life| {
        let outcome = live(seed.value().wrapping_add(life), Some(lie));
        outcome.err().map(|what| (life, what))
    });
    let (life, what) = noticed.unwrap_or_else(|| panic!("nobody notices: {lie:?}"));
    println!("{lie:?}: noticed in life {life}: {what}");
}

#[test]
fn a_dropped_sync_of_parts_is_noticed() {
    is_noticed(Lie::Parts);
}

#[test]
fn a_dropped_sync_of_the_blob_folders_is_noticed() {
    is_noticed(Lie::BlobFolders);
}

#[test]
fn a_dropped_sync_of_the_blob_root_is_noticed() {
    is_noticed(Lie::BlobRoot);
}

#[test]
fn a_dropped_sync_of_the_data_folder_is_noticed() {
    is_noticed(Lie::DataFolder);
}

#[test]
fn a_dropped_sync_of_the_log_is_noticed() {
    is_noticed(Lie::Log);
}

#[test]
fn a_dropped_sync_of_the_database_is_noticed() {
    is_noticed(Lie::Database);
}
