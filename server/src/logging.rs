//! Log lines on standard error: text for people, JSON for programs.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogConfig, LogFormat};

/// Answers what is wrong with the filter, if it is unreadable.
pub fn check(config: &LogConfig) -> Result<(), String> {
    filter(config).map(drop)
}

fn filter(config: &LogConfig) -> Result<EnvFilter, String> {
    EnvFilter::try_new(&config.level)
        .map_err(|error| format!("log.level {:?} is not a filter: {error}", config.level))
}

/// Starts logging. Answers what is wrong with the filter, if it is unreadable.
pub fn start(config: &LogConfig) -> Result<(), String> {
    let filter = filter(config)?;
    let text = match config.format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    // A second start, in tests, keeps the first one's settings.
    let _ = if text {
        lines.with_ansi(io::stderr().is_terminal()).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
    Ok(())
}
