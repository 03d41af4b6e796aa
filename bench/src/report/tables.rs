//! One table for each group of rows.

use std::{collections::BTreeSet, fmt};

use crate::{
    case::{Group, Metric},
    results::{Column, Results, Row},
};

/// Writes the tables in Markdown. What a row is about is shown with its lowest
/// and highest value; all else as medians.
pub(super) fn write(results: &Results, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let groups: BTreeSet<Group> = results.rows.iter().map(|row| row.group).collect();
    for group in groups {
        let rows: Vec<&Row> = results.rows.iter().filter(|row| row.group == group).collect();
        write_table(group, &rows, f)?;
    }
    Ok(())
}

fn write_table(group: Group, rows: &[&Row], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let metrics: BTreeSet<Metric> =
        rows.iter().flat_map(|row| &row.columns).map(|column| column.metric).collect();
    write!(f, "| {} ", group.title())?;
    for metric in &metrics {
        write!(f, "| {} ", metric.title())?;
    }
    writeln!(f, "|\n|---|{}", "---:|".repeat(metrics.len()))?;
    for row in rows {
        write!(f, "| {} ", row.name)?;
        for metric in &metrics {
            write!(f, "| {} ", row.column(*metric).map(cell).unwrap_or_default())?;
        }
        writeln!(f, "|")?;
    }
    writeln!(f)
}

fn cell(column: &Column) -> String {
    let median = number(column.median());
    let (lowest, highest) = column.range();
    if column.metric.is_main() {
        format!("{median} ({}–{})", number(lowest), number(highest))
    } else {
        median
    }
}

/// Three digits that count.
pub(super) fn number(value: f64) -> String {
    let digits = match value {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}
