//! Where Sluice stands beside what it is compared with.

use std::fmt;

use super::tables::number;
use crate::{
    case::{Group, Metric},
    choices::MIB,
    peers::Peer,
    results::Results,
    rows::{file, s3, sdks, sizes, small, transport},
};

/// A column of a row.
type Cell = (Group, String, Metric);

/// A median, and what it is divided by.
struct Ratio {
    name: &'static str,
    value: Cell,
    /// The highest of them; of none, the value itself counts.
    against: Vec<Cell>,
    /// What must be reached, and what should be.
    floor: f64,
    goal: f64,
}

/// Sizes that ratios are about.
const SMALL: usize = 4096;
const GIB: u64 = 1024 * MIB;

const PEERS: [Peer; 3] = [Peer::Tusd, Peer::TusNode, Peer::Rustus];

fn ratios() -> Vec<Ratio> {
    use Metric::{Completion, Files, ServerCpu, Throughput};
    let stored = |row: &str| (Group::File, row.to_owned(), Throughput);
    let sent = |row: String| (Group::Transport, row, Throughput);
    let files = |row: String| (Group::Small, row, Files);
    let to_s3 = |row: &str| (Group::S3, row.to_owned(), Throughput);
    let by_sdk = |row: &str| (Group::Sdks, row.to_owned(), Throughput);
    let sized = |bytes: u64, metric| (Group::Sizes, sizes::sluice(bytes), metric);
    let ratio = |name, value, against, (floor, goal)| Ratio { name, value, against, floor, goal };
    vec![
        ratio(
            "1 stream, CRC32C at both ends, not stored / raw TCP",
            sent(transport::checked(1)),
            vec![sent(transport::raw(1))],
            (0.4, 0.55),
        ),
        ratio(
            "1 stream, whole but for the disk / raw TCP",
            sent(transport::whole(1)),
            vec![sent(transport::raw(1))],
            (0.4, 0.55),
        ),
        ratio(
            "4 streams, CRC32C at both ends, not stored / raw TCP × 4",
            sent(transport::checked(4)),
            vec![sent(transport::raw(4))],
            (0.45, 0.8),
        ),
        ratio(
            "4 streams, whole but for the disk / raw TCP × 4",
            sent(transport::whole(4)),
            vec![sent(transport::raw(4))],
            (0.45, 0.8),
        ),
        ratio(
            "durable upload, 1 stream / TCP → file → fdatasync → ack",
            stored(file::ONE_STREAM),
            vec![stored(file::TCP_TO_FILE)],
            (0.5, 0.8),
        ),
        ratio(
            "durable upload, 4 streams / TCP → file → fdatasync → ack",
            stored(file::FOUR_STREAMS),
            vec![stored(file::TCP_TO_FILE)],
            (0.5, 0.8),
        ),
        ratio(
            "durable upload, 1 stream / the fastest tus server",
            stored(file::ONE_STREAM),
            PEERS.map(|peer| stored(&file::tus(peer))).into(),
            (1.5, 3.0),
        ),
        ratio(
            "durable upload, 4 streams / the fastest tus server",
            stored(file::FOUR_STREAMS),
            PEERS.map(|peer| stored(&file::tus(peer))).into(),
            (1.5, 3.0),
        ),
        ratio(
            "server CPU of a durable upload, 1 stream, s/GiB (less is better)",
            (Group::File, file::ONE_STREAM.to_owned(), ServerCpu),
            vec![],
            (1.2, 0.8),
        ),
        ratio(
            "4 KiB files, 32 clients / create + fsync + rename + folder sync, 32 threads",
            files(small::sluice(SMALL)),
            vec![files(small::safely(SMALL))],
            (0.5, 1.0),
        ),
        ratio(
            "4 KiB files, 32 clients / the fastest tus server",
            files(small::sluice(SMALL)),
            PEERS.map(|peer| files(small::tus(SMALL, peer))).into(),
            (2.0, 5.0),
        ),
        ratio(
            "completion of 10 GiB / of 100 MiB (less is better)",
            sized(10 * GIB, Completion),
            vec![sized(100 * MIB, Completion)],
            (2.0, 1.1),
        ),
        ratio(
            "MiB/s at 10 GiB / at 1 GiB",
            sized(10 * GIB, Throughput),
            vec![sized(GIB, Throughput)],
            (0.95, 1.0),
        ),
        ratio(
            "through the server to S3 / the Rust SDK directly to it",
            to_s3(s3::SLUICE),
            [s3::DIRECT, s3::DEFAULTS].map(to_s3).into(),
            (0.85, 0.95),
        ),
        ratio(
            "the same, in parts of 16 MiB",
            to_s3(s3::SLUICE_LARGE),
            vec![to_s3(s3::DIRECT_LARGE)],
            (0.85, 0.95),
        ),
        ratio("Go SDK / Rust SDK", by_sdk(sdks::GO), vec![by_sdk(sdks::RUST)], (0.7, 1.0)),
        ratio(
            "TypeScript SDK on Node / Rust SDK",
            by_sdk(sdks::NODE),
            vec![by_sdk(sdks::RUST)],
            (0.4, 0.7),
        ),
        ratio("Python SDK / Rust SDK", by_sdk(sdks::PYTHON), vec![by_sdk(sdks::RUST)], (0.4, 0.7)),
        ratio(
            "TypeScript SDK in Chromium / Rust SDK",
            by_sdk(sdks::WEB),
            vec![by_sdk(sdks::RUST)],
            (0.25, 0.5),
        ),
        ratio(
            "TypeScript SDK in Chromium / tus-js-client in Chromium",
            by_sdk(sdks::WEB),
            vec![by_sdk(sdks::WEB_TUS)],
            (1.0, 1.5),
        ),
    ]
}

/// Writes the ratios whose rows were measured.
pub(super) fn write(results: &Results, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let median = |(group, name, metric): &Cell| results.median(*group, name, *metric);
    writeln!(f, "| Medians compared | | floor | goal |\n|---|---:|---:|---:|")?;
    for ratio in ratios() {
        let against = if ratio.against.is_empty() {
            Some(1.0)
        } else {
            ratio.against.iter().filter_map(median).max_by(f64::total_cmp)
        };
        let (Some(value), Some(against)) = (median(&ratio.value), against) else { continue };
        let (value, floor, goal) =
            (number(value / against), number(ratio.floor), number(ratio.goal));
        writeln!(f, "| {} | {value} | {floor} | {goal} |", ratio.name)?;
    }
    Ok(())
}
