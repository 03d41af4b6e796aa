//! The rounds of a run.

use std::time::Instant;

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::{bench::Bench, choices::Choices, report::Report, results::Results, rows};

/// Measures every chosen row once in each round, in an order of its own, and
/// reports.
pub(crate) async fn run(choices: Choices) -> Result<()> {
    let bench = Bench::new(&choices)?;
    let cases = rows::chosen(&choices, bench.peers());
    let seed = choices.seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{} rows, seed {seed}", cases.len());
    let mut random = Rng::with_seed(seed);
    let mut results = Results::begin(&cases);
    let mut order: Vec<usize> = (0..cases.len()).collect();
    for round in 1..=choices.rounds {
        random.shuffle(&mut order);
        let started = Instant::now();
        for &index in &order {
            let case = &cases[index];
            bench.settle();
            let values = case.measure(&bench).await;
            let values = values.with_context(|| format!("{:?} has failed", case.name))?;
            results.add(index, values);
        }
        // After each round, so that a run that is interrupted was not in vain.
        if let Some(file) = &choices.json {
            results.store(file)?;
        }
        let seconds = started.elapsed().as_secs();
        eprintln!("round {round} of {} took {seconds} s", choices.rounds);
    }
    Report::of(results).show(choices.plot.as_deref())
}
