//! Asking before something that cannot be undone. Whoever is no person at a
//! terminal is never asked, and has to say yes beforehand.

use crate::{exit::Exit, failure::Failure, prompt};

/// Goes on if the answer is yes. `action` is what will be done.
pub(crate) fn ask(action: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !prompt::somebody_is_here() {
        let message = format!("nobody is here to confirm: {action}");
        return Err(Failure::usage(message).hint("say so beforehand with --yes"));
    }
    match prompt::line(&format!("{action}? [y/N] "))?.to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Other, "nothing was done")),
    }
}
