//! What a run has found, for people.

mod goals;
mod plot;
mod tables;

use std::{fmt, fs, path::Path};

use anyhow::{Context, Result};

use crate::results::Results;

/// Tables, ratios and a plot of results.
pub(crate) struct Report(Results);

impl Report {
    /// A report of these results.
    pub(crate) fn of(results: Results) -> Self {
        Self(results)
    }

    /// Prints the tables, and draws the medians into a file if there is one.
    pub(crate) fn show(&self, plot: Option<&Path>) -> Result<()> {
        println!("{self}");
        let Some(file) = plot else { return Ok(()) };
        let svg = plot::draw(&self.0)?;
        fs::write(file, svg).with_context(|| format!("cannot write {}", file.display()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tables::write(&self.0, f)?;
        goals::write(&self.0, f)
    }
}
