//! Exit codes: the same failure always ends the process with the same number,
//! so that scripts can decide. They never change their meaning.

use std::process::ExitCode;

use sluice_sdk::{Code, Error, Kind, Reason};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Success = 0,
    /// Anything that has no code of its own.
    Other = 1,
    /// The command line is wrong.
    Usage = 2,
    /// What was named is not there.
    NotFound = 4,
    /// It may go well later; an upload goes on where it was.
    Temporary = 5,
    /// The server will never take this as it is.
    Refused = 6,
    /// The quota is used up, or the server's disk is full.
    Full = 8,
    /// The key is missing, wrong or lacks a right.
    Denied = 11,
    /// Bytes are not what they should be.
    Corrupt = 12,
    /// Some files went well and others did not.
    Partial = 13,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// Whether there is no point in going on with other files.
    pub(crate) fn concerns_all_files(self) -> bool {
        matches!(self, Self::Temporary | Self::Full | Self::Denied)
    }

    /// How the process ends after several files, of which some went well.
    pub(crate) fn of_many(failures: &[Self], successes: usize) -> Self {
        match failures {
            [] => Self::Success,
            [first, rest @ ..] if successes == 0 && rest.iter().all(|exit| exit == first) => *first,
            _ => Self::Partial,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind() {
            Kind::Cancelled => Self::Interrupted,
            Kind::Usage => Self::Usage,
            Kind::Corrupt | Kind::SourceChanged => Self::Corrupt,
            Kind::Local if is_missing(error) => Self::NotFound,
            Kind::Local => Self::Other,
            Kind::Transport => Self::Temporary,
            Kind::Certificate => Self::Denied,
            _ if error.is_transient() => Self::Temporary,
            _ => match (error.reason(), error.code()) {
                (Some(reason), _) => reason.into(),
                (None, Some(code)) => code.into(),
                (None, None) => Self::Other,
            },
        }
    }
}

impl From<Reason> for Exit {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::UploadNotFound
            | Reason::FileNotFound
            | Reason::SessionNotFound
            | Reason::ApiKeyNotFound
            | Reason::AccountNotFound => Self::NotFound,
            Reason::QuotaExceeded | Reason::StorageFull => Self::Full,
            Reason::CredentialsInvalid
            | Reason::TokenExpired
            | Reason::TokenRevoked
            | Reason::ScopeMissing
            | Reason::AccountSuspended => Self::Denied,
            Reason::ChecksumMismatch
            | Reason::FileChecksumMismatch
            | Reason::StoredDataCorrupt
            | Reason::ContentConflict => Self::Corrupt,
            Reason::StaleWriter
            | Reason::PartBusy
            | Reason::StreamIdle
            | Reason::StreamTooSlow
            | Reason::RateLimited
            | Reason::Overloaded
            | Reason::DependencyUnavailable
            | Reason::StorageIo
            | Reason::ShuttingDown => Self::Temporary,
            Reason::InvalidField
            | Reason::MalformedMessage
            | Reason::ChecksumMissing
            | Reason::FrameTooLarge
            | Reason::FrameCrossesPart
            | Reason::OffsetMismatch
            | Reason::SizeExceeded
            | Reason::SizeMismatch
            | Reason::PartsMissing
            | Reason::UploadNotActive
            | Reason::UploadExpired
            | Reason::RequestIdReused
            | Reason::FileExists
            | Reason::AccountExists
            | Reason::FileTooLarge
            | Reason::ContentTypeNotAllowed
            | Reason::FileNotReady
            | Reason::EtagMismatch
            | Reason::ResumeTokenInvalid
            | Reason::NotSupported => Self::Refused,
        }
    }
}

impl From<Code> for Exit {
    /// For reasons that are newer than this program.
    fn from(code: Code) -> Self {
        match code {
            Code::NotFound => Self::NotFound,
            Code::Unauthenticated | Code::PermissionDenied => Self::Denied,
            Code::ResourceExhausted => Self::Full,
            Code::DataLoss => Self::Corrupt,
            Code::Unavailable | Code::Aborted => Self::Temporary,
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal => Self::Refused,
        }
    }
}

fn is_missing(error: &Error) -> bool {
    let cause = std::error::Error::source(error);
    let cause = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_frozen() {
        for (exit, number) in [
            (Exit::Success, 0),
            (Exit::Other, 1),
            (Exit::Usage, 2),
            (Exit::NotFound, 4),
            (Exit::Temporary, 5),
            (Exit::Refused, 6),
            (Exit::Full, 8),
            (Exit::Denied, 11),
            (Exit::Corrupt, 12),
            (Exit::Partial, 13),
            (Exit::Interrupted, 130),
        ] {
            assert_eq!(exit as u8, number);
        }
    }

    #[test]
    fn reasons_have_the_codes_that_scripts_rely_on() {
        for (reason, exit) in [
            (Reason::FileNotFound, Exit::NotFound),
            (Reason::StaleWriter, Exit::Temporary),
            (Reason::FileExists, Exit::Refused),
            (Reason::StorageFull, Exit::Full),
            (Reason::QuotaExceeded, Exit::Full),
            (Reason::CredentialsInvalid, Exit::Denied),
            (Reason::ScopeMissing, Exit::Denied),
            (Reason::FileChecksumMismatch, Exit::Corrupt),
            (Reason::StoredDataCorrupt, Exit::Corrupt),
        ] {
            assert_eq!(Exit::from(reason), exit);
        }
    }

    #[test]
    fn many_files_end_as_one_number() {
        use Exit::{Denied, Partial, Refused, Success};
        for (failures, successes, exit) in [
            (&[][..], 3, Success),
            (&[][..], 0, Success),
            (&[Refused][..], 0, Refused),
            (&[Refused, Refused][..], 0, Refused),
            (&[Refused, Denied][..], 0, Partial),
            (&[Refused][..], 1, Partial),
        ] {
            assert_eq!(Exit::of_many(failures, successes), exit);
        }
    }
}
