//! What was acknowledged survives any loss of power, and any kill.
//!
//! A seed fixes what callers ask for, when the power fails and what is lost.
//! Threads race all the same, as in a real server, so a rare failure may need
//! its seed a few times.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use sluice_tests::{Seed, scale};

use crate::{
    caller::Caller,
    checker::{Since, check},
    clock::ManualClock,
    ledger::{Ledger, Stop, broken},
    server::Server,
    simulation::{Lie, Loss, SimulatedDisk},
    workload,
};

/// Crashes in the life of one machine.
const CRASHES: usize = 3;

#[test]
fn what_was_acknowledged_survives() {
    let seed = Seed::of("what_was_acknowledged_survives");
    let lives = scale(200, 10_000);
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let life = next.fetch_add(1, Ordering::Relaxed);
                    if life >= lives {
                        return;
                    }
                    let seed = seed.value().wrapping_add(life as u64);
                    if let Err(what) = live(seed, None) {
                        panic!("with SLUICE_SEED={seed}: {what}");
                    }
                }
            });
        }
    });
}

/// The life of one machine: a server that crashes again and again. Answers the
/// first promise that was broken.
pub(crate) fn live(seed: u64, lie: Option<Lie>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be made");
    let life = Box::pin(Life::new(seed, lie).run());
    match runtime.block_on(life) {
        Ok(()) => Ok(()),
        Err(Stop::Broken(what)) => Err(what),
        Err(stop) => Err(format!("a machine that is not to crash any more: {stop:?}")),
    }
}

struct Life {
    rng: SmallRng,
    disk: Arc<SimulatedDisk>,
    clock: ManualClock,
    ledger: Ledger,
}

impl Life {
    fn new(seed: u64, lie: Option<Lie>) -> Self {
        let disk = SimulatedDisk::new();
        if let Some(lie) = lie {
            disk.set_lie(lie);
        }
        let rng = SmallRng::seed_from_u64(seed);
        Self { rng, disk, clock: ManualClock::new(), ledger: Ledger::default() }
    }

    async fn run(mut self) -> Result<(), Stop> {
        for _ in 0..CRASHES {
            match self.boot_and_work().await {
                Ok(()) | Err(Stop::Off) => {}
                Err(stop) => return Err(stop),
            }
            let kill = self.rng.random_ratio(1, 5);
            let loss = if kill { Loss::Process } else { Loss::Power(self.rng.random()) };
            self.disk = self.disk.crash(loss);
        }
        self.last_boot().await
    }

    async fn boot_and_work(&mut self) -> Result<(), Stop> {
        let early = self.rng.random_ratio(1, 5);
        if early {
            self.disk.fail_power_after(self.rng.random_range(0..400));
        }
        let server = self.boot()?;
        check(&server, &self.ledger, Since::Boot).await?;
        if !early {
            // Small numbers are as interesting as large ones.
            let operations = self.rng.random_range(0.0..8.0_f64).exp();
            self.disk.fail_power_after(operations as u64);
        }
        expect_settled(&server).await?;
        check(&server, &self.ledger, Since::Settled).await?;
        workload::run(&server, &self.ledger, self.rng.random()).await?;
        if self.rng.random_bool(0.5) {
            server.stop().await;
        }
        Ok(())
    }

    /// No crash any more: everything that was begun can be finished.
    async fn last_boot(&mut self) -> Result<(), Stop> {
        let server = self.boot()?;
        check(&server, &self.ledger, Since::Boot).await?;
        expect_settled(&server).await?;
        check(&server, &self.ledger, Since::Settled).await?;
        Caller::new(&server, &[]).finish_all(&self.ledger).await?;
        expect_settled(&server).await?;
        check(&server, &self.ledger, Since::Settled).await
    }

    fn boot(&self) -> Result<Server, Stop> {
        match Server::boot(&self.disk, &self.clock) {
            Ok(server) => Ok(server),
            Err(_) if self.disk.is_off() => Err(Stop::Off),
            Err(error) => broken(format!("the server cannot boot: {error}")),
        }
    }
}

async fn expect_settled(server: &Server) -> Result<(), Stop> {
    crate::checker::expect(server, "the worker", server.settle().await)
}
