//! Asking before something that cannot be undone. Whoever is no person at a
//! terminal is never asked, and has to say yes beforehand.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::{exit::Exit, failure::Failure};

/// Goes on if the answer is yes. `action` is what will be done.
pub(crate) fn ask(action: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let message = format!("nobody is here to confirm: {action}");
        return Err(Failure::usage(message).hint("say so beforehand with --yes"));
    }
    // On standard error: standard output is for results.
    let mut question = io::stderr().lock();
    write!(question, "{action}? [y/N] ")?;
    question.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Other, "nothing was done")),
    }
}
