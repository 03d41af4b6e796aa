package sluice

// Reason is why the server refused a call: a name of sluicev1.ErrorReason
// without its prefix. Reasons never change their meaning; one that is newer than
// this SDK is none of the constants. It is an error itself, so that
// errors.Is(err, sluice.ReasonFileExists) asks for it.
type Reason string

// The reasons of the contract. What each means and which metadata it comes with
// stands at the constants of sluicev1.ErrorReason.
const (
	ReasonInvalidField          Reason = "INVALID_FIELD"
	ReasonMalformedMessage      Reason = "MALFORMED_MESSAGE"
	ReasonChecksumMissing       Reason = "CHECKSUM_MISSING"
	ReasonFrameTooLarge         Reason = "FRAME_TOO_LARGE"
	ReasonFrameCrossesPart      Reason = "FRAME_CROSSES_PART"
	ReasonChecksumMismatch      Reason = "CHECKSUM_MISMATCH"
	ReasonOffsetMismatch        Reason = "OFFSET_MISMATCH"
	ReasonSizeExceeded          Reason = "SIZE_EXCEEDED"
	ReasonSizeMismatch          Reason = "SIZE_MISMATCH"
	ReasonFileChecksumMismatch  Reason = "FILE_CHECKSUM_MISMATCH"
	ReasonStoredDataCorrupt     Reason = "STORED_DATA_CORRUPT"
	ReasonPartsMissing          Reason = "PARTS_MISSING"
	ReasonContentConflict       Reason = "CONTENT_CONFLICT"
	ReasonStaleWriter           Reason = "STALE_WRITER"
	ReasonPartBusy              Reason = "PART_BUSY"
	ReasonUploadNotActive       Reason = "UPLOAD_NOT_ACTIVE"
	ReasonUploadExpired         Reason = "UPLOAD_EXPIRED"
	ReasonRequestIDReused       Reason = "REQUEST_ID_REUSED"
	ReasonFileExists            Reason = "FILE_EXISTS"
	ReasonFileTooLarge          Reason = "FILE_TOO_LARGE"
	ReasonContentTypeNotAllowed Reason = "CONTENT_TYPE_NOT_ALLOWED"
	ReasonFileNotReady          Reason = "FILE_NOT_READY"
	ReasonEtagMismatch          Reason = "ETAG_MISMATCH"
	ReasonQuotaExceeded         Reason = "QUOTA_EXCEEDED"
	ReasonStorageFull           Reason = "STORAGE_FULL"
	ReasonRateLimited           Reason = "RATE_LIMITED"
	ReasonOverloaded            Reason = "OVERLOADED"
	ReasonUploadNotFound        Reason = "UPLOAD_NOT_FOUND"
	ReasonFileNotFound          Reason = "FILE_NOT_FOUND"
	ReasonSessionNotFound       Reason = "SESSION_NOT_FOUND"
	ReasonAPIKeyNotFound        Reason = "API_KEY_NOT_FOUND"
	ReasonCredentialsInvalid    Reason = "CREDENTIALS_INVALID"
	ReasonTokenExpired          Reason = "TOKEN_EXPIRED"
	ReasonTokenRevoked          Reason = "TOKEN_REVOKED"
	ReasonScopeMissing          Reason = "SCOPE_MISSING"
	ReasonAccountSuspended      Reason = "ACCOUNT_SUSPENDED"
	ReasonStreamIdle            Reason = "STREAM_IDLE"
	ReasonStreamTooSlow         Reason = "STREAM_TOO_SLOW"
	ReasonDependencyUnavailable Reason = "DEPENDENCY_UNAVAILABLE"
	ReasonStorageIO             Reason = "STORAGE_IO"
	ReasonShuttingDown          Reason = "SHUTTING_DOWN"
	ReasonResumeTokenInvalid    Reason = "RESUME_TOKEN_INVALID"
	ReasonNotSupported          Reason = "NOT_SUPPORTED"
	ReasonAccountExists         Reason = "ACCOUNT_EXISTS"
	ReasonAccountNotFound       Reason = "ACCOUNT_NOT_FOUND"
)

func (r Reason) Error() string { return string(r) }
