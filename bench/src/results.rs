//! Every number that was measured.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::case::{Case, Group, Metric, Values};

/// The rows of a run, in the order of the tables.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) rows: Vec<Row>,
}

/// What was measured of one row.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) group: Group,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
}

/// One value for each round.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) metric: Metric,
    values: Vec<f64>,
}

impl Results {
    /// No numbers yet.
    pub(crate) fn begin(cases: &[Case]) -> Self {
        let row =
            |case: &Case| Row { group: case.group, name: case.name.clone(), columns: Vec::new() };
        Self { rows: cases.iter().map(row).collect() }
    }

    /// Takes what one measurement of a row has found.
    pub(crate) fn add(&mut self, row: usize, values: Values) {
        let columns = &mut self.rows[row].columns;
        for (metric, value) in values {
            match columns.iter_mut().find(|column| column.metric == metric) {
                Some(column) => column.values.push(value),
                None => columns.push(Column { metric, values: vec![value] }),
            }
        }
    }

    /// The middle of what was measured.
    pub(crate) fn median(&self, group: Group, name: &str, metric: Metric) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.group == group && row.name == name)?;
        row.column(metric).map(Column::median)
    }

    /// Writes all numbers to a file.
    pub(crate) fn store(&self, file: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display()))
    }

    /// Reads what runs have stored, one after the other. Of a row that several
    /// have, the last one counts.
    pub(crate) fn load(files: &[PathBuf]) -> Result<Self> {
        let mut all = Self::default();
        for file in files {
            let json = fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            let results: Self = serde_json::from_str(&json)
                .with_context(|| format!("{} holds no results", file.display()))?;
            for row in results.rows {
                let same = |other: &Row| other.group == row.group && other.name == row.name;
                match all.rows.iter().position(same) {
                    Some(index) => all.rows[index] = row,
                    None => all.rows.push(row),
                }
            }
        }
        Ok(all)
    }
}

impl Row {
    /// A column, if the row has it.
    pub(crate) fn column(&self, metric: Metric) -> Option<&Column> {
        self.columns.iter().find(|column| column.metric == metric)
    }
}

impl Column {
    /// The middle of all values.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        if sorted.len().is_multiple_of(2) {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        } else {
            sorted[middle]
        }
    }

    /// The lowest and the highest value.
    pub(crate) fn range(&self) -> (f64, f64) {
        let sorted = self.sorted();
        (sorted[0], sorted[sorted.len() - 1])
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_the_middle() {
        let of = |values: &[f64]| Column { metric: Metric::Files, values: values.to_vec() };
        assert_eq!(of(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(of(&[4.0, 1.0, 3.0, 2.0]).median(), 2.5);
        assert_eq!(of(&[4.0, 1.0, 3.0]).range(), (1.0, 4.0));
    }
}
