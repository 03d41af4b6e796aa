"""The one error type: what a server refused, or what went wrong on this side."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DOMAIN = "sluice.v1"
_DETAILS = "grpc-status-details-bin"

# What gRPC and proxies make of a broken connection has no ErrorInfo. CANCELLED is
# how some servers report a deadline that has passed; OK, where it is an error, is a
# stream that was ended before its time.
_BROKEN = frozenset(
    {
        grpc.StatusCode.OK,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)
_PASSING = frozenset(
    {
        "CHECKSUM_MISMATCH",
        "PART_BUSY",
        "STREAM_IDLE",
        "STREAM_TOO_SLOW",
        "OVERLOADED",
        "RATE_LIMITED",
        "SHUTTING_DOWN",
        "DEPENDENCY_UNAVAILABLE",
        "STORAGE_IO",
    }
)


class ErrorKind(str, enum.Enum):
    """Where an error comes from."""

    SERVER = "server"
    """The server answered with a refusal."""
    TRANSPORT = "transport"
    """The connection could not be made or broke, or nothing came for too long."""
    LOCAL = "local"
    """A local file or stream could not be read or written, or tokens not kept."""
    SOURCE_CHANGED = "source_changed"
    """The content is not, or is no longer, what was being uploaded."""
    CORRUPT = "corrupt"
    """What arrived is not what the server recorded."""
    CANCELLED = "cancelled"
    """The call was cancelled by its `CancelToken`."""
    USAGE = "usage"
    """The SDK was asked for something that cannot be."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Violation:
    """A field that the server refused."""

    field: str
    """Path of the field in the request."""
    description: str
    """What is wrong with it, for people."""


class SluiceError(Exception):
    """Why a call failed: decide by `reason` and `code`, show the text."""

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after: float | None = None,
        upload_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        """Where the error comes from."""
        self.message = message
        """What happened, for people."""
        self.code = code
        """The gRPC code, of errors that the server or the transport gave."""
        self.reason = reason
        """The stable reason, of errors that the server gave: a name of the contract's
        `ErrorReason` without its prefix. Decide by `code` where it is unknown to you."""
        self.metadata = dict(metadata or {})
        """Facts by the names that the contract gives to each reason."""
        self.violations = tuple(violations)
        """The fields at fault, for INVALID_FIELD."""
        self.retry_after = retry_after
        """How many seconds the server asked to wait before trying again."""
        self.upload_id = upload_id
        """The upload that can be resumed or cancelled, once there is one."""

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed later. The SDK has then tried for
        `give_up_after` already."""
        if self.kind is not ErrorKind.SERVER:
            return self.kind is ErrorKind.TRANSPORT
        if self.reason in _PASSING:
            return True
        if self.reason == "UPLOAD_NOT_ACTIVE":
            # Somebody's completion is on its way; it ends in another state.
            return self.metadata.get("state") == "COMPLETING"
        if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return self.retry_after is not None
        return self.code is grpc.StatusCode.UNAVAILABLE

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return (
            f"SluiceError(kind={self.kind.value!r}, code={self.code and self.code.name!r}, "
            f"reason={self.reason!r}, message={self.message!r}, upload_id={self.upload_id!r})"
        )


def from_status(
    code: grpc.StatusCode, message: str, trailers: Sequence[tuple[str, str | bytes]]
) -> SluiceError:
    """What a call ended with, as an error."""
    details = next((value for key, value in trailers if key == _DETAILS), b"")
    status = status_pb2.Status()
    try:
        status.ParseFromString(details if isinstance(details, bytes) else b"")
    except DecodeError:
        status.Clear()
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_after: float | None = None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            detail.Unpack(bad_request)
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    ours = info.domain == _DOMAIN
    broken = not ours and code in _BROKEN
    return SluiceError(
        ErrorKind.TRANSPORT if broken else ErrorKind.SERVER,
        f"no connection to the server: {message}" if broken else message,
        code=code,
        reason=info.reason if ours else None,
        metadata=info.metadata if ours else None,
        violations=[
            # Whether a file goes with one call is the SDK's business.
            Violation(violation.field.removeprefix("create_upload."), violation.description)
            for violation in bad_request.field_violations
        ],
        retry_after=retry_after,
        upload_id=info.metadata.get("upload_id") if ours else None,
    )


def cancelled() -> SluiceError:
    """The caller's token was cancelled."""
    return SluiceError(ErrorKind.CANCELLED, "cancelled")


def local(action: str, what: object, error: Exception) -> SluiceError:
    """A file or stream of this side failed."""
    return SluiceError(ErrorKind.LOCAL, f"cannot {action} {what}: {error}")


def lacks(what: str) -> SluiceError:
    """An answer without the resource that the contract promises."""
    return SluiceError(ErrorKind.CORRUPT, f"the server's answer has no {what}")
