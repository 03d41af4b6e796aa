//! What people read: messages on standard error, with colours where they help.

use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};

use crate::failure::Failure;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Whether only results and errors are printed.
static QUIET: AtomicBool = AtomicBool::new(false);

/// How folders look in lists.
pub(crate) const FOLDER: Style = AnsiColor::Blue.on_default().bold();

/// With `--quiet`, notes and warnings are not printed.
pub(crate) fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Prints what went wrong and what to do next.
pub(crate) fn failure(failure: &Failure) {
    if failure.message.is_empty() {
        return;
    }
    anstream::eprintln!("{ERROR}error:{ERROR:#} {}", failure.message);
    if let Some(hint) = &failure.hint {
        anstream::eprintln!("{HINT} hint:{HINT:#} {hint}");
    }
}

/// Prints what is odd but stops nothing.
pub(crate) fn warning(message: &str) {
    if QUIET.load(Ordering::Relaxed) {
        return;
    }
    anstream::eprintln!("{WARNING}warning:{WARNING:#} {message}");
}

/// Prints what is good to know.
pub(crate) fn note(message: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        anstream::eprintln!("{message}");
    }
}
