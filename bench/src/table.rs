//! Medians of all rounds, and ratios between rows.

use std::{fmt, time::Duration};

/// Rows in the order of their first measurement.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    unit: &'static str,
    values: Vec<f64>,
}

/// Row, and the row that it is compared with.
const RATIOS: [(&str, &str); 4] = [
    ("Sluice upload, 1 stream", "TCP → file → fdatasync → ack"),
    ("Sluice upload, 4 streams", "TCP → file → fdatasync → ack"),
    ("Sluice download, verified and synced", "TCP → file → fdatasync → ack"),
    (
        "Sluice upload of 4 KiB files, 32 clients",
        "create + fsync + rename + folder sync, 32 threads",
    ),
];

impl Table {
    /// So many bytes in so much time.
    pub(crate) fn throughput(&mut self, name: &str, bytes: u64, elapsed: Duration) {
        let mib = bytes as f64 / (1024.0 * 1024.0);
        self.value(name, "MiB/s", mib / elapsed.as_secs_f64());
    }

    /// So many files in so much time.
    pub(crate) fn rate(&mut self, name: &str, count: usize, elapsed: Duration) {
        self.value(name, "files/s", count as f64 / elapsed.as_secs_f64());
    }

    /// Any other value.
    pub(crate) fn value(&mut self, name: &str, unit: &'static str, value: f64) {
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.values.push(value),
            None => self.rows.push(Row { name: name.to_owned(), unit, values: vec![value] }),
        }
    }

    fn median(&self, name: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.name == name).map(Row::median)
    }
}

impl Row {
    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        if sorted.len().is_multiple_of(2) {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        } else {
            sorted[middle]
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | median | lowest | highest | unit |\n|---|---|---|---|---|")?;
        for row in &self.rows {
            let sorted = row.sorted();
            let (lowest, highest) = (sorted[0], sorted[sorted.len() - 1]);
            let digits = if lowest < 10.0 { 2 } else { 0 };
            writeln!(
                f,
                "| {} | {:.digits$} | {lowest:.digits$} | {highest:.digits$} | {} |",
                row.name,
                row.median(),
                row.unit
            )?;
        }
        writeln!(f, "\n| ratio of medians | |\n|---|---|")?;
        for (name, against) in RATIOS {
            if let (Some(value), Some(limit)) = (self.median(name), self.median(against)) {
                writeln!(f, "| {name} / {against} | {:.2} |", value / limit)?;
            }
        }
        Ok(())
    }
}
