//! Random sequences of operations against the server and against a model of it
//! that fits on a few pages.

mod operation;
mod player;
mod world;
mod writing;

use std::thread;

use rand::RngExt;
use sluice_tests::{Seed, scale};

use self::{operation::Operation, player::Player};

/// Operations of one sequence.
const LENGTH: usize = 40;

/// Tells what was done when a sequence fails.
struct Trace(Vec<Operation>);

impl Drop for Trace {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the sequence that failed, its last operation last:");
            for (number, operation) in self.0.iter().enumerate() {
                eprintln!("{number:3} {operation:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_sequence_of_operations_does_what_the_model_does() {
    let seed = Seed::of("any_sequence_of_operations_does_what_the_model_does");
    let (mut uploads, mut files) = (0, 0);
    for sequence in 0..scale(200, 10_000) as u64 {
        let mut rng = seed.rng(sequence);
        let mut trace = Trace(Vec::new());
        let mut player = Player::new(rng.random()).await;
        for _ in 0..LENGTH {
            let operation = Operation::draw(&mut rng);
            trace.0.push(operation.clone());
            player.play(operation).await;
        }
        trace.0.push(Operation::List);
        player.compare_all().await;
        uploads += player.world.uploads.len();
        files += player.world.files.len();
    }
    println!("{uploads} uploads became {files} files");
    assert!(files > 0, "the sequences did nothing");
}
