//! What a process uses, from `/proc`.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

use crate::{
    case::{Metric, Values},
    choices::MIB,
};

/// Clock ticks per second in `/proc` (`USER_HZ`, 100 on every Linux platform
/// that Rust supports).
const TICKS: u64 = 100;

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Time on all cores together, in user and kernel mode.
    cpu: Duration,
    /// Most memory at a time, in bytes.
    peak_memory: u64,
}

impl Usage {
    /// Of this very process.
    pub(crate) fn own() -> Result<Self> {
        Self::of(std::process::id())
    }

    /// Of another process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name may hold spaces; fields 14 and 15 (user and system time) are
        // the 12th and 13th after its closing bracket.
        let fields = stat.rsplit_once(')').context("an unexpected format")?.1;
        let mut ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let mut next = || ticks.next().context("an unexpected format")?.context("not a number");
        let cpu = Duration::from_millis((next()? + next()?) * 1000 / TICKS);
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|rest| rest.split_whitespace().next()).context("no VmHWM")?;
        Ok(Self { cpu, peak_memory: peak.parse::<u64>()? * 1024 })
    }

    /// Most memory at a time, in MiB.
    pub(crate) fn peak_memory(&self) -> f64 {
        self.peak_memory as f64 / MIB as f64
    }

    /// CPU time since `before`.
    pub(crate) fn cpu_since(&self, before: &Self) -> Duration {
        self.cpu.saturating_sub(before.cpu)
    }
}

/// A transfer of so many bytes, as the columns of its row.
pub(crate) struct Transfer {
    /// Content that was moved.
    pub(crate) bytes: u64,
    /// Until the answer.
    pub(crate) elapsed: Duration,
    /// What the server had used before and after.
    pub(crate) server: (Usage, Usage),
    /// CPU time of the client.
    pub(crate) client: Duration,
}

impl Transfer {
    /// The columns.
    pub(crate) fn values(&self) -> Values {
        let (before, after) = &self.server;
        vec![
            (Metric::Throughput, throughput(self.bytes, self.elapsed)),
            (Metric::ServerCpu, for_each_gib(after.cpu_since(before), self.bytes)),
            (Metric::ClientCpu, for_each_gib(self.client, self.bytes)),
            (Metric::ServerMemory, after.peak_memory()),
        ]
    }
}

const GIB: f64 = 1024.0 * MIB as f64;

/// CPU seconds for each GiB.
pub(crate) fn for_each_gib(cpu: Duration, bytes: u64) -> f64 {
    cpu.as_secs_f64() / (bytes as f64 / GIB)
}

/// MiB each second.
pub(crate) fn throughput(bytes: u64, elapsed: Duration) -> f64 {
    bytes as f64 / MIB as f64 / elapsed.as_secs_f64()
}
