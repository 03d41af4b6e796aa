package sluice

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Kind tells where an error comes from. It is an error itself, so that
// errors.Is(err, sluice.KindSourceChanged) asks for it.
type Kind string

const (
	// KindServer is a refusal by the server: see Reason and Code.
	KindServer Kind = "server"
	// KindTransport is a connection that could not be made or broke, or on which
	// nothing came for too long.
	KindTransport Kind = "transport"
	// KindLocal is a local file, reader or writer that failed.
	KindLocal Kind = "local"
	// KindSourceChanged is content that is not, or is no longer, what was being
	// uploaded.
	KindSourceChanged Kind = "source_changed"
	// KindCorrupt is content that is not what the server has recorded.
	KindCorrupt Kind = "corrupt"
	// KindCancelled is a call whose context ended.
	KindCancelled Kind = "cancelled"
	// KindUsage is a request that this SDK cannot make sense of.
	KindUsage Kind = "usage"
)

func (k Kind) Error() string { return string(k) }

// Violation is a field that the server refused.
type Violation struct {
	// Field is its path in the request, such as "name".
	Field string
	// Description says what is wrong, for people.
	Description string
}

// Error is what every call of this SDK fails with. Decide by Kind, Reason and
// Code, show the text.
type Error struct {
	// Kind tells where the error comes from.
	Kind Kind
	// Code is the gRPC code, of errors that the server or the transport gave, and
	// otherwise codes.OK.
	Code codes.Code
	// Reason is the stable reason of the contract, of errors that the server gave,
	// and otherwise empty.
	Reason Reason
	// Message says what happened, for people.
	Message string
	// Metadata has facts by the names that the contract gives to each reason.
	Metadata map[string]string
	// Violations are the fields at fault, where the reason is INVALID_FIELD.
	Violations []Violation
	// RetryAfter is how long the server asked to wait, or zero.
	RetryAfter time.Duration
	// UploadID is the upload that can be resumed or cancelled, once there is one.
	UploadID string

	permanent bool
	cause     error
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Unwrap is what caused the error on this side, such as fs.ErrNotExist or
// context.Canceled.
func (e *Error) Unwrap() error { return e.cause }

// Is compares with a Kind or a Reason.
func (e *Error) Is(target error) bool {
	switch target := target.(type) {
	case Kind:
		return e.Kind == target
	case Reason:
		return e.Reason == target
	default:
		return false
	}
}

// Transient tells whether the same call may succeed later. The client has then
// tried for as long as WithGiveUpAfter says already.
func (e *Error) Transient() bool {
	switch e.Reason {
	case ReasonChecksumMismatch, ReasonPartBusy, ReasonStreamIdle, ReasonStreamTooSlow:
		return true
	case ReasonUploadNotActive:
		// Somebody's completion is on its way; it ends in another state.
		return e.Metadata["state"] == "COMPLETING"
	}
	switch {
	case e.Kind == KindTransport:
		return !e.permanent
	case e.Kind != KindServer:
		return false
	case e.Code == codes.ResourceExhausted:
		return e.RetryAfter > 0
	default:
		return e.Code == codes.Unavailable
	}
}

func (e *Error) withUpload(id string) *Error {
	if e.UploadID == "" {
		e.UploadID = id
	}
	return e
}

func newError(kind Kind, format string, arguments ...any) *Error {
	err := fmt.Errorf(format, arguments...)
	return &Error{Kind: kind, Message: err.Error(), cause: errors.Unwrap(err)}
}

// failed makes an Error of whatever a call under this context ended with.
func failed(ctx context.Context, err error) *Error {
	var already *Error
	if errors.As(err, &already) {
		own := *already // Calls add to it, and several may share one.
		return &own
	}
	if ctx.Err() != nil {
		cause := context.Cause(ctx)
		if errors.As(cause, &already) {
			return failed(ctx, cause)
		}
		return newError(KindCancelled, "cancelled: %w", cause)
	}
	return refused(status.Convert(err))
}

// refused makes an Error of a gRPC status.
func refused(status *status.Status) *Error {
	e := &Error{Kind: KindServer, Code: status.Code(), Message: status.Message()}
	known := false
	for _, detail := range status.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == "sluice.v1" {
				known = true
				e.Reason = Reason(detail.GetReason())
				e.Metadata = detail.GetMetadata()
				e.UploadID = e.Metadata["upload_id"]
			}
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				e.Violations = append(e.Violations, Violation{violation.GetField(), violation.GetDescription()})
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	if known {
		return e
	}
	// What transports and proxies make of a broken connection has no ErrorInfo.
	switch e.Code {
	case codes.Unavailable, codes.Unknown, codes.Canceled, codes.Internal, codes.DeadlineExceeded:
		e.Kind = KindTransport
		e.Message = "no connection to the server: " + e.Message
		// Whom one side does not trust today, it will not trust in a minute.
		e.permanent = strings.Contains(e.Message, "x509: ") || strings.Contains(e.Message, "tls: ")
	}
	return e
}
