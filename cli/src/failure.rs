//! What went wrong, for the person at the terminal: what happened, to which
//! file, and what to do next.

use std::io;

use sluice_sdk::{Error, Reason};

use crate::exit::Exit;

/// What to do about a credential that is missing or not good.
pub(crate) const SIGN_IN: &str =
    "sign in with `sluice login`, or give an API key with SLUICE_API_KEY or --api-key-file";

/// The end of a command that did not go well.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What happened. Empty if there is nothing to say.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which file it is about, unless the message does.
    pub(crate) fn about(mut self, name: &str) -> Self {
        if !self.message.contains(name) {
            self.message = format!("{name}: {}", self.message);
        }
        self
    }

    /// There is no file of this name or id.
    pub(crate) fn no_such_file(name: &str) -> Self {
        Self::new(Exit::NotFound, format!("there is no file {name}"))
            .hint("`sluice ls` shows what there is")
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::new(Exit::from(&error), error.message());
        match next_step(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<io::Error> for Failure {
    /// Standard output is the only stream that commands write to themselves. A
    /// reader that has seen enough, such as `head`, is no failure.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Success, ""),
            _ => Self::new(Exit::Other, format!("cannot write the output: {error}")),
        }
    }
}

/// What the person can do, where it is not obvious from the message.
fn next_step(error: &Error) -> Option<&'static str> {
    Some(match error.reason()? {
        Reason::CredentialsInvalid | Reason::TokenRevoked | Reason::TokenExpired => SIGN_IN,
        Reason::AccountSuspended => "ask the operator of the server why",
        Reason::FileExists => "replace it with --on-conflict replace, or choose another --name",
        Reason::StorageFull => "the server's disk is full: only its operator can make room",
        Reason::QuotaExceeded => "delete files with `sluice rm`, or ask for a larger quota",
        Reason::StaleWriter => "another process goes on with this upload; wait for it",
        Reason::UploadExpired => "upload the file again",
        _ => return None,
    })
}
