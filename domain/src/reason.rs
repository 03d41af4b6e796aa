//! The closed set of reasons with which Sluice refuses a request.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// Why a request was refused. Programs decide by it, so a reason never
        /// changes its meaning; the text is `google.rpc.ErrorInfo.reason`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])* $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of the contract.
            pub const ALL: &[Reason] = &[$(Reason::$variant,)+];

            /// The stable text of the reason.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$variant => $text,)+
                }
            }

            /// The reason with this text, if there is one.
            pub fn parse(text: &str) -> Option<Reason> {
                match text {
                    $($text => Some(Reason::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

reasons! {
    /// A field has a value that is not allowed.
    InvalidField = "INVALID_FIELD",
    /// The message could not be decoded, or the stream broke its rules.
    MalformedMessage = "MALFORMED_MESSAGE",
    /// A frame came without its CRC32C.
    ChecksumMissing = "CHECKSUM_MISSING",
    /// A frame or message is larger than allowed.
    FrameTooLarge = "FRAME_TOO_LARGE",
    /// A frame reaches over the end of its part.
    FrameCrossesPart = "FRAME_CROSSES_PART",
    /// A frame's bytes do not have the CRC32C that came with them.
    ChecksumMismatch = "CHECKSUM_MISMATCH",
    /// A frame is not where the stream must go on.
    OffsetMismatch = "OFFSET_MISMATCH",
    /// A frame reaches beyond the size of the file.
    SizeExceeded = "SIZE_EXCEEDED",
    /// The size differs from the one that is known.
    SizeMismatch = "SIZE_MISMATCH",
    /// The whole file does not have a declared checksum.
    FileChecksumMismatch = "FILE_CHECKSUM_MISMATCH",
    /// Stored bytes no longer have the checksum they were stored with.
    StoredDataCorrupt = "STORED_DATA_CORRUPT",
    /// The upload cannot complete: parts are missing.
    PartsMissing = "PARTS_MISSING",
    /// Bytes sent again differ from those persisted.
    ContentConflict = "CONTENT_CONFLICT",
    /// A newer writer has taken over.
    StaleWriter = "STALE_WRITER",
    /// Another stream is writing this part.
    PartBusy = "PART_BUSY",
    /// The upload is in a state that does not allow this.
    UploadNotActive = "UPLOAD_NOT_ACTIVE",
    /// The upload's time is over.
    UploadExpired = "UPLOAD_EXPIRED",
    /// The request id belongs to another request.
    RequestIdReused = "REQUEST_ID_REUSED",
    /// The name is taken.
    FileExists = "FILE_EXISTS",
    /// The file is larger than this server accepts.
    FileTooLarge = "FILE_TOO_LARGE",
    /// This server does not accept files of this type.
    ContentTypeNotAllowed = "CONTENT_TYPE_NOT_ALLOWED",
    /// The file cannot be read yet, or never will.
    FileNotReady = "FILE_NOT_READY",
    /// The resource has changed since it was read.
    EtagMismatch = "ETAG_MISMATCH",
    /// The owner's quota does not allow this.
    QuotaExceeded = "QUOTA_EXCEEDED",
    /// The server's storage is full.
    StorageFull = "STORAGE_FULL",
    /// Too many requests from this caller.
    RateLimited = "RATE_LIMITED",
    /// The server has too much to do.
    Overloaded = "OVERLOADED",
    /// No such upload of this owner.
    UploadNotFound = "UPLOAD_NOT_FOUND",
    /// No such file of this owner.
    FileNotFound = "FILE_NOT_FOUND",
    /// No such session of this account.
    SessionNotFound = "SESSION_NOT_FOUND",
    /// No such API key of this account.
    ApiKeyNotFound = "API_KEY_NOT_FOUND",
    /// The credential is missing or wrong.
    CredentialsInvalid = "CREDENTIALS_INVALID",
    /// The token's time is over.
    TokenExpired = "TOKEN_EXPIRED",
    /// The token was revoked.
    TokenRevoked = "TOKEN_REVOKED",
    /// The credential does not cover this request.
    ScopeMissing = "SCOPE_MISSING",
    /// The account is suspended.
    AccountSuspended = "ACCOUNT_SUSPENDED",
    /// The stream sent nothing for too long.
    StreamIdle = "STREAM_IDLE",
    /// The stream is below the minimum rate.
    StreamTooSlow = "STREAM_TOO_SLOW",
    /// Something the server needs is not reachable.
    DependencyUnavailable = "DEPENDENCY_UNAVAILABLE",
    /// Storage reported an error.
    StorageIo = "STORAGE_IO",
    /// The server is stopping.
    ShuttingDown = "SHUTTING_DOWN",
    /// The resume token is unreadable or too old.
    ResumeTokenInvalid = "RESUME_TOKEN_INVALID",
    /// This server does not offer this.
    NotSupported = "NOT_SUPPORTED",
    /// An account has this address already.
    AccountExists = "ACCOUNT_EXISTS",
    /// There is no such account.
    AccountNotFound = "ACCOUNT_NOT_FOUND",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_parses_back_to_its_reason() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::parse("NO_SUCH_REASON"), None);
    }
}
