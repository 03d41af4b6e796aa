"""The RPCs that the SDK calls."""

from __future__ import annotations

from ._gen.sluice.v1 import (
    account_pb2,
    auth_pb2,
    capabilities_pb2,
    event_pb2,
    file_pb2,
    upload_pb2,
)
from .runtime import Method, R


def _method(service: str, answer: type[R]) -> Method[R]:
    name = answer.DESCRIPTOR.name.removesuffix("Response")
    return Method(f"/sluice.v1.{service}/{name}", answer)


CREATE_UPLOAD = _method("UploadService", upload_pb2.CreateUploadResponse)
RESUME_UPLOAD = _method("UploadService", upload_pb2.ResumeUploadResponse)
WRITE_UPLOAD = _method("UploadService", upload_pb2.WriteUploadResponse)
LIST_UPLOAD_PARTS = _method("UploadService", upload_pb2.ListUploadPartsResponse)
COMPLETE_UPLOAD = _method("UploadService", upload_pb2.CompleteUploadResponse)
CANCEL_UPLOAD = _method("UploadService", upload_pb2.CancelUploadResponse)
GET_UPLOAD = _method("UploadService", upload_pb2.GetUploadResponse)
LIST_UPLOADS = _method("UploadService", upload_pb2.ListUploadsResponse)

GET_FILE = _method("FileService", file_pb2.GetFileResponse)
LIST_FILES = _method("FileService", file_pb2.ListFilesResponse)
UPDATE_FILE = _method("FileService", file_pb2.UpdateFileResponse)
DELETE_FILE = _method("FileService", file_pb2.DeleteFileResponse)
READ_FILE = _method("FileService", file_pb2.ReadFileResponse)
SIGN_DOWNLOAD_URL = _method("FileService", file_pb2.SignDownloadUrlResponse)

WATCH_EVENTS = _method("EventService", event_pb2.WatchEventsResponse)

REGISTER = _method("AuthService", auth_pb2.RegisterResponse)
LOGIN = _method("AuthService", auth_pb2.LoginResponse)
REFRESH_SESSION = _method("AuthService", auth_pb2.RefreshSessionResponse)
LOGOUT = _method("AuthService", auth_pb2.LogoutResponse)

GET_ACCOUNT = _method("AccountService", account_pb2.GetAccountResponse)
UPDATE_ACCOUNT = _method("AccountService", account_pb2.UpdateAccountResponse)
CHANGE_PASSWORD = _method("AccountService", account_pb2.ChangePasswordResponse)
DELETE_ACCOUNT = _method("AccountService", account_pb2.DeleteAccountResponse)
LIST_SESSIONS = _method("AccountService", account_pb2.ListSessionsResponse)
REVOKE_SESSION = _method("AccountService", account_pb2.RevokeSessionResponse)
CREATE_API_KEY = _method("AccountService", account_pb2.CreateApiKeyResponse)
LIST_API_KEYS = _method("AccountService", account_pb2.ListApiKeysResponse)
REVOKE_API_KEY = _method("AccountService", account_pb2.RevokeApiKeyResponse)
GET_USAGE = _method("AccountService", account_pb2.GetUsageResponse)

GET_CAPABILITIES = _method("CapabilitiesService", capabilities_pb2.GetCapabilitiesResponse)
