//! Every metric: its name, what it means, and the one function that changes it.
//!
//! Names of calls follow OpenTelemetry's conventions for RPC metrics
//! (<https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/>) in
//! Prometheus' spelling. No label takes its values from a caller: the number of
//! series has a bound, and nothing about anybody's files is shown.
//! `docs/metrics.md` describes them to whoever watches them.

mod call;
mod events;

use std::{sync::OnceLock, time::Duration};

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub use call::Call;
pub use events::{event_handled, queue};

/// Bounds that OpenTelemetry advises for calls, in seconds.
const CALL_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// From a fast disk's sync to that of one that is not well, in seconds.
const DISK_SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Up to the largest group.
const GROUP_CHANGES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// How often what was measured is added up, so that it does not pile up where
/// nobody collects it.
const UPKEEP: Duration = Duration::from_secs(5);

/// The metrics of this process, for whoever collects them.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Starts to count. A process counts once, however often it is told to.
    pub fn start() -> Result<Self, BuildError> {
        static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
        if let Some(handle) = HANDLE.get() {
            return Ok(Self(handle.clone()));
        }
        let full = |name: &str| Matcher::Full(name.to_owned());
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(full(call::DURATION), &CALL_SECONDS)?
            .set_buckets_for_metric(full("sluice_part_sync_duration_seconds"), &DISK_SECONDS)?
            .set_buckets_for_metric(full("sluice_commit_duration_seconds"), &DISK_SECONDS)?
            .set_buckets_for_metric(full("sluice_commit_changes"), &GROUP_CHANGES)?
            .install_recorder()?;
        describe();
        Ok(Self(HANDLE.get_or_init(|| handle).clone()))
    }

    /// All metrics as Prometheus reads them.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Adds up what was measured, for ever.
    pub async fn keep_up(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.0.run_upkeep();
        }
    }
}

fn describe() {
    call::describe();
    events::describe();
    describe_counter!(
        "sluice_content_received_bytes_total",
        Unit::Bytes,
        "Content of files that came in frames with the right checksum."
    );
    describe_counter!(
        "sluice_content_sent_bytes_total",
        Unit::Bytes,
        "Content of files that was read and handed out."
    );
    describe_counter!(
        "sluice_downloads_redirected_total",
        Unit::Count,
        "Downloads that were sent to storage."
    );
    describe_counter!("sluice_parts_persisted_total", Unit::Count, "Parts that were persisted.");
    describe_counter!(
        "sluice_persisted_bytes_total",
        Unit::Bytes,
        "Bytes in parts that were persisted."
    );
    describe_histogram!(
        "sluice_part_sync_duration_seconds",
        Unit::Seconds,
        "How long it took to make the bytes of a part durable."
    );
    describe_histogram!(
        "sluice_commit_duration_seconds",
        Unit::Seconds,
        "How long a commit of the database took, with its changes."
    );
    describe_histogram!(
        "sluice_commit_changes",
        Unit::Count,
        "Changes that were committed together."
    );
    describe_counter!("sluice_connections_total", Unit::Count, "Connections that were taken.");
    describe_gauge!("sluice_connections_active", Unit::Count, "Connections that are open.");
    describe_counter!(
        "sluice_connections_flooded_total",
        Unit::Count,
        "Connections that were ended because their peer flooded them with empty frames."
    );
    describe_gauge!(
        "sluice_message_memory_used_bytes",
        Unit::Bytes,
        "Memory of messages that have not arrived whole."
    );
    describe_gauge!(
        "sluice_message_memory_limit_bytes",
        Unit::Bytes,
        "Most memory for such messages."
    );
    describe_counter!("sluice_sweeps_total", Unit::Count, "Rounds of the sweeper, by outcome.");
    describe_counter!(
        "sluice_swept_total",
        Unit::Count,
        "What the sweeper finished, ended or forgot."
    );
    describe_gauge!("sluice_build_info", Unit::Count, "The version that runs; always 1.");
    gauge!("sluice_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    content_received(0);
    content_sent(0);
    counter!("sluice_downloads_redirected_total").increment(0);
    counter!("sluice_parts_persisted_total").increment(0);
    counter!("sluice_connections_flooded_total").increment(0);
    counter!("sluice_persisted_bytes_total").increment(0);
    for outcome in ["done", "interrupted"] {
        counter!("sluice_sweeps_total", "outcome" => outcome).increment(0);
    }
    for what in [Swept::CompletionFinished, Swept::UploadExpired, Swept::UploadForgotten] {
        swept(what, 0);
    }
}

/// Bytes of a file came in a frame with the right checksum.
pub fn content_received(bytes: u64) {
    counter!("sluice_content_received_bytes_total").increment(bytes);
}

/// Bytes of a file were handed out.
pub fn content_sent(bytes: u64) {
    counter!("sluice_content_sent_bytes_total").increment(bytes);
}

/// A part of this size is persisted.
pub fn part_persisted(size: u64) {
    counter!("sluice_parts_persisted_total").increment(1);
    counter!("sluice_persisted_bytes_total").increment(size);
}

/// A download was sent to storage.
pub fn download_redirected() {
    counter!("sluice_downloads_redirected_total").increment(1);
}

/// The bytes of a part were made durable.
pub fn part_synced(duration: Duration) {
    histogram!("sluice_part_sync_duration_seconds").record(duration);
}

/// The database has committed a group of changes.
pub fn committed(changes: usize, duration: Duration) {
    histogram!("sluice_commit_duration_seconds").record(duration);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    histogram!("sluice_commit_changes").record(changes as f64);
}

/// A connection that is open; ends when it is dropped.
pub struct Connection(());

impl Connection {
    /// A connection was taken.
    pub fn taken() -> Self {
        counter!("sluice_connections_total").increment(1);
        gauge!("sluice_connections_active").increment(1);
        Self(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        gauge!("sluice_connections_active").decrement(1);
    }
}

/// A connection is ended because its peer floods it.
pub fn connection_flooded() {
    counter!("sluice_connections_flooded_total").increment(1);
}

/// How much memory messages take that have not arrived whole.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn message_memory(used: u64, limit: u64) {
    gauge!("sluice_message_memory_used_bytes").set(used as f64);
    gauge!("sluice_message_memory_limit_bytes").set(limit as f64);
}

/// The sweeper has made a round.
pub fn sweep(is_done: bool) {
    let outcome = if is_done { "done" } else { "interrupted" };
    counter!("sluice_sweeps_total", "outcome" => outcome).increment(1);
}

/// Something that the sweeper does.
#[derive(Debug, Clone, Copy)]
pub enum Swept {
    /// Finished a completion that was interrupted.
    CompletionFinished,
    /// Ended an upload whose time was over.
    UploadExpired,
    /// Removed the record of an upload that ended long ago.
    UploadForgotten,
}

/// The sweeper has done something, so many times.
pub fn swept(what: Swept, times: u64) {
    let what = match what {
        Swept::CompletionFinished => "completion_finished",
        Swept::UploadExpired => "upload_expired",
        Swept::UploadForgotten => "upload_forgotten",
    };
    counter!("sluice_swept_total", "what" => what).increment(times);
}
