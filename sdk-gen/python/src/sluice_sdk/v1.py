"""The messages of the contract, as they were generated, for use with `Client.raw`."""

from ._gen.sluice.v1.account_pb2 import *
from ._gen.sluice.v1.admin_pb2 import *
from ._gen.sluice.v1.auth_pb2 import *
from ._gen.sluice.v1.capabilities_pb2 import *
from ._gen.sluice.v1.common_pb2 import *
from ._gen.sluice.v1.event_pb2 import *
from ._gen.sluice.v1.file_pb2 import *
from ._gen.sluice.v1.upload_pb2 import *
