"""The Python SDK of Sluice: upload, resume, find, download, watch and delete files."""

from . import v1
from ._gen.sluice.v1.account_pb2 import Account, ApiKey, Session, Usage
from ._gen.sluice.v1.capabilities_pb2 import Capabilities
from ._gen.sluice.v1.file_pb2 import File
from ._gen.sluice.v1.upload_pb2 import Upload
from ._version import VERSION
from .account_verbs import NewApiKey, SignedIn
from .async_client import AsyncClient
from .cancellation import CancelToken
from .client import Client
from .download import Downloaded, Target, Writable
from .errors import ErrorKind, SluiceError, Violation
from .options import UploadOptions
from .progress import OnProgress, Progress
from .raw import AsyncRaw, Raw
from .series import Series, Steps
from .session import OnTokens, Tokens
from .source import AsyncReadable, Readable, Source
from .upload import Uploaded
from .verbs import Folder, Link
from .watch import AsyncWatch, Event, FileDeleted, SnapshotBegin, SnapshotEnd, Watch

__version__ = VERSION

__all__ = [
    "VERSION",
    "Account",
    "ApiKey",
    "AsyncClient",
    "AsyncRaw",
    "AsyncReadable",
    "AsyncWatch",
    "CancelToken",
    "Capabilities",
    "Client",
    "Downloaded",
    "ErrorKind",
    "Event",
    "File",
    "FileDeleted",
    "Folder",
    "Link",
    "NewApiKey",
    "OnProgress",
    "OnTokens",
    "Progress",
    "Raw",
    "Readable",
    "Series",
    "Session",
    "SignedIn",
    "SluiceError",
    "SnapshotBegin",
    "SnapshotEnd",
    "Source",
    "Steps",
    "Target",
    "Tokens",
    "Upload",
    "UploadOptions",
    "Uploaded",
    "Usage",
    "Violation",
    "Watch",
    "Writable",
    "v1",
]
