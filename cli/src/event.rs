//! Lines of `--json`: one object each, whose `event` says what it is. The shapes
//! are listed in `docs/cli.md` and frozen by the end-to-end tests.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// A line for something that other commands show in other ways.
#[derive(Serialize)]
struct Tagged<'a, T> {
    event: &'a str,
    #[serde(flatten)]
    view: &'a T,
}

/// Why a command has ended; always its last line.
#[derive(Serialize)]
struct ErrorView<'a> {
    code: u8,
    message: &'a str,
    hint: Option<&'a str>,
}

/// Prints what there is to say of `view` as an event of this kind.
pub(crate) fn print_event(event: &str, view: &impl Serialize) -> Result<(), Failure> {
    print_json(&Tagged { event, view })
}

/// Prints one line for programs.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut line = serde_json::to_vec(value).map_err(io::Error::from)?;
    line.push(b'\n');
    let mut output = io::stdout().lock();
    // At once, and flushed: somebody may wait for it behind a pipe.
    output.write_all(&line)?;
    output.flush()?;
    Ok(())
}

/// Prints why the command has ended. The exit code says the same where nobody
/// reads any more.
pub(crate) fn print_error(failure: &Failure) {
    if failure.message.is_empty() {
        return;
    }
    let code = failure.exit as u8;
    let view = ErrorView { code, message: &failure.message, hint: failure.hint.as_deref() };
    let _ = print_event("error", &view);
}
