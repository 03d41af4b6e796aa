//! What every command lets people choose about what it prints.

use std::io::{self, IsTerminal};

use clap::{ArgAction, Args};
use tracing_subscriber::{EnvFilter, fmt};

use crate::{progress::ProgressMode, terminal};

/// Filters of `-v`, `-vv` and `-vvv`.
const FILTERS: [&str; 3] = [
    "warn,sluice=info,sluice_sdk=info",
    "info,sluice=debug,sluice_sdk=debug",
    "debug,sluice=trace,sluice_sdk=trace",
];

/// What a command prints, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct DisplayArguments {
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Print nothing but results and errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Tell what goes on: connections and retries; -vv each call, -vvv everything
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// How to show progress: auto is bars on a terminal and plain lines elsewhere
    #[arg(long, value_name = "LOOK", default_value = "auto", hide_short_help = true)]
    progress: ProgressMode,
    /// Print without colours, as with NO_COLOR=1 or CLICOLOR=0
    #[arg(long, hide_short_help = true)]
    no_color: bool,
}

impl DisplayArguments {
    /// Takes effect for the whole process.
    pub(crate) fn apply(&self) {
        if self.no_color {
            anstream::ColorChoice::Never.write_global();
        }
        let colours = match anstream::AutoStream::choice(&io::stderr()) {
            anstream::ColorChoice::Never => false,
            anstream::ColorChoice::Auto => io::stderr().is_terminal(),
            _ => true,
        };
        console::set_colors_enabled_stderr(colours);
        terminal::set_quiet(self.quiet);
        let filter = usize::from(self.verbose).checked_sub(1);
        if let Some(filter) = filter.map(|level| FILTERS[level.min(FILTERS.len() - 1)]) {
            let lines = fmt().with_env_filter(EnvFilter::new(filter)).with_writer(io::stderr);
            // Somebody else's subscriber, in tests, may be there already.
            let _ = lines.with_target(false).with_ansi(colours).try_init();
        }
    }

    /// How progress is shown.
    pub(crate) fn progress(&self) -> ProgressMode {
        if self.quiet { ProgressMode::None } else { self.progress }
    }
}
