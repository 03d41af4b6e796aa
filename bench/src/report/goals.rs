//! Where Sluice stands beside what it is compared with.

use std::fmt;

use super::tables::number;
use crate::{
    case::{Group, Metric},
    results::Results,
    rows,
};

/// A median, and the one that it is divided by.
struct Ratio {
    name: &'static str,
    value: (Group, String, Metric),
    /// None: the value itself counts.
    against: Option<(Group, String, Metric)>,
    /// What must be reached, and what should be.
    floor: f64,
    goal: f64,
}

fn ratios() -> Vec<Ratio> {
    use Group::{File, Small};
    use Metric::{Files, ServerCpu, Throughput};
    let tcp_to_file = || Some((File, rows::TCP_TO_FILE.to_owned(), Throughput));
    vec![
        Ratio {
            name: "durable upload, 1 stream / TCP → file → fdatasync → ack",
            value: (File, rows::ONE_STREAM.to_owned(), Throughput),
            against: tcp_to_file(),
            floor: 0.5,
            goal: 0.8,
        },
        Ratio {
            name: "durable upload, 4 streams / TCP → file → fdatasync → ack",
            value: (File, rows::FOUR_STREAMS.to_owned(), Throughput),
            against: tcp_to_file(),
            floor: 0.5,
            goal: 0.8,
        },
        Ratio {
            name: "server CPU of a durable upload, 1 stream, s/GiB (less is better)",
            value: (File, rows::ONE_STREAM.to_owned(), ServerCpu),
            against: None,
            floor: 1.2,
            goal: 0.8,
        },
        Ratio {
            name: "4 KiB files, 32 clients / create + fsync + rename + folder sync, 32 threads",
            value: (Small, rows::sluice(4096), Files),
            against: Some((Small, rows::safely(4096), Files)),
            floor: 0.5,
            goal: 1.0,
        },
    ]
}

/// Writes the ratios whose rows were measured.
pub(super) fn write(results: &Results, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let median =
        |(group, name, metric): &(Group, String, Metric)| results.median(*group, name, *metric);
    writeln!(f, "| Medians compared | | floor | goal |\n|---|---:|---:|---:|")?;
    for ratio in ratios() {
        let against = match &ratio.against {
            Some(against) => median(against),
            None => Some(1.0),
        };
        let (Some(value), Some(against)) = (median(&ratio.value), against) else { continue };
        let (value, floor, goal) =
            (number(value / against), number(ratio.floor), number(ratio.goal));
        writeln!(f, "| {} | {value} | {floor} | {goal} |", ratio.name)?;
    }
    Ok(())
}
