//! Random sequences of operations against the server and against a model of it
//! that fits on a few pages.

mod comparison;
mod filing;
mod operation;
mod player;
mod world;
mod writing;

use std::thread;

use rand::{RngExt, rngs::SmallRng};
use sluice_tests::{Seed, scale};
use tokio::task::JoinSet;

use self::{operation::Operation, player::Player, world::World};

/// Operations of one sequence.
const LENGTH: usize = 40;

/// Sequences that are played at once, each on a server of its own.
const LANES: u64 = 4;

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
    let sequences = scale(500, 10_000) as u64;
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let rngs: Vec<_> = (lane..sequences).step_by(LANES as usize).map(|n| seed.rng(n)).collect();
        lanes.spawn(async move {
            let (mut uploads, mut files) = (0, 0);
            for (number, rng) in rngs.into_iter().enumerate() {
                if number > 0 && number % 250 == 0 {
                    println!("lane {lane} has played {number} sequences");
                }
                let world = play(rng).await;
                uploads += world.uploads.len();
                files += world.files.len();
            }
            (uploads, files)
        });
    }
    for (uploads, files) in lanes.join_all().await {
        println!("{uploads} uploads became {files} files");
        assert!(files > 0, "the sequences did nothing");
    }
}

/// Plays one sequence; answers the model after it.
async fn play(mut rng: SmallRng) -> World {
    let mut trace = Trace(Vec::new());
    let mut player = Player::new(rng.random()).await;
    for _ in 0..LENGTH {
        let operation = Operation::draw(&mut rng);
        trace.0.push(operation.clone());
        player.play(operation).await;
    }
    trace.0.push(Operation::List);
    player.compare_all().await;
    player.world
}
