//! How transfers look while they are under way: bars on a terminal, a line now
//! and then elsewhere, or nothing. Always on standard error.

mod look;
mod row;
mod totals;

use std::{
    io::{self, IsTerminal},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use clap::ValueEnum;

pub(crate) use self::{look::file_bar, row::Row};
use self::{
    look::{Look, is_large},
    totals::{Totals, print_lines},
};

/// What `--progress` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    // Without comments for the help, which shows them on lines of their own.
    Auto,
    Bar,
    Plain,
    None,
}

/// All transfers of one command.
pub(crate) struct Board {
    totals: Arc<Totals>,
    look: Look,
    started: Instant,
}

impl Board {
    /// A board for files of these sizes; the size of a stream is not known.
    pub(crate) fn new(mode: ProgressMode, sizes: &[Option<u64>]) -> Self {
        Self::with(
            mode,
            Totals {
                files: sizes.len().into(),
                bytes: sizes.iter().flatten().sum::<u64>().into(),
                size_unknown: sizes.contains(&None),
                ..Totals::default()
            },
        )
    }

    /// A board for files that become known one after the other.
    pub(crate) fn growing(mode: ProgressMode) -> Self {
        Self::with(mode, Totals { growing: true, ..Totals::default() })
    }

    fn with(mode: ProgressMode, totals: Totals) -> Self {
        let totals = Arc::new(totals);
        let terminal = io::stderr().is_terminal();
        let look = match mode {
            ProgressMode::Bar => Look::bars(&totals),
            ProgressMode::Auto if terminal => Look::bars(&totals),
            ProgressMode::Auto | ProgressMode::Plain => Look::Lines(print_lines(totals.clone())),
            ProgressMode::None => Look::Nothing,
        };
        Self { totals, look, started: Instant::now() }
    }

    /// One more file, on a board that grows.
    pub(crate) fn expect(&self, size: u64) {
        self.totals.files.fetch_add(1, Ordering::Relaxed);
        let bytes = self.totals.bytes.fetch_add(size, Ordering::Relaxed) + size;
        if let Look::Bars { total: Some(total), .. } = &self.look {
            total.set_length(bytes);
        }
    }

    /// A place for one file, which is shown once it is under way.
    pub(crate) fn row(self: &Arc<Self>, name: &str, size: Option<u64>) -> Row {
        let bar = match &self.look {
            Look::Bars { all, total } if self.totals.is_one() || size.is_none_or(is_large) => {
                let bar = file_bar(name, size);
                Some(match total {
                    Some(total) => all.insert_before(total, bar),
                    None => all.add(bar),
                })
            }
            _ => None,
        };
        Row::new(self, bar)
    }

    /// Prints above the bars.
    pub(crate) fn print<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.look {
            Look::Bars { all, .. } => all.suspend(print),
            Look::Lines(_) | Look::Nothing => print(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Nothing more comes.
    pub(crate) fn finish(&self) {
        match &self.look {
            Look::Bars { all, total } => {
                if let Some(total) = total {
                    total.finish_and_clear();
                }
                let _ = all.clear();
            }
            Look::Lines(task) => task.abort(),
            Look::Nothing => {}
        }
    }
}
