//! What a run has found, for people.

mod goals;
mod tables;

use std::fmt;

use crate::results::Results;

/// Tables and ratios of results.
pub(crate) struct Report(Results);

impl Report {
    /// A report of these results.
    pub(crate) fn of(results: Results) -> Self {
        Self(results)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tables::write(&self.0, f)?;
        goals::write(&self.0, f)
    }
}
