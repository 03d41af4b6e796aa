"""MiniStack, with what it lacks of S3 for a client that trusts nothing:

- CRCs at the speed of the hardware instead of a table in Python;
- checksums of the whole object for multipart uploads (ChecksumType FULL_OBJECT);
- EntityTooSmall for parts that are too small, from MINISTACK_MIN_PART_BYTES on
  (5 MiB as in S3; tests lower it to have many parts of few bytes);
- InvalidPartOrder.

It replaces functions that are private to MiniStack, whose version is pinned for
that reason. Objects and tables live in memory and are gone with the process.
"""

import os
import re
import resource
import socket
import sys
import threading

# Read when MiniStack is imported. Keys of twelve digits are accounts of their
# own; with AUTH signatures are checked.
os.environ.update(
    AUTH="true",
    BIND_HOST="127.0.0.1",
    LOG_LEVEL="WARNING",
    SERVICES="s3,dynamodb,sqs,iam,sts",
)
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    os.environ["GATEWAY_PORT"] = str(probe.getsockname()[1])

import uvicorn
from awscrt import checksums
from ministack import app
from ministack.services import s3

MIN_PART_BYTES = int(os.environ.get("MINISTACK_MIN_PART_BYTES", 5 * 1024 * 1024))
FULL_OBJECT = "FULL_OBJECT"

create_before = s3._create_multipart_upload
complete_before = s3._complete_multipart_upload
composite_before = s3._composite_checksum

# The checksum of the whole object, while an upload that wants one is completed.
completing = threading.local()


def checksum(algorithm, part_checksums):
    whole = getattr(completing, "whole", None)
    return whole(algorithm) if whole else composite_before(algorithm, part_checksums)


def create(bucket, key, headers):
    status, answer, body = create_before(bucket, key, headers)
    if status != 200:
        return status, answer, body
    upload_id = re.search(rb"<UploadId>([^<]+)", body)[1].decode()
    upload = s3._multipart_uploads[upload_id]
    algorithm = upload.get("checksum_algorithm")
    if algorithm:
        default = FULL_OBJECT if algorithm == "CRC64NVME" else "COMPOSITE"
        kind = (headers.get("x-amz-checksum-type") or default).upper()
        if kind == FULL_OBJECT and not algorithm.startswith("CRC"):
            del s3._multipart_uploads[upload_id]
            return s3._error(
                "InvalidRequest",
                f"The FULL_OBJECT checksum type cannot be used with {algorithm.lower()}.",
                400,
            )
        upload["checksum_type"] = kind
        answer["x-amz-checksum-type"] = kind
    return status, answer, body


def complete(bucket, key, body, query, headers=None):
    upload_id = s3._qp(query, "uploadId")
    upload = s3._multipart_uploads.get(upload_id)
    if upload is None:
        return complete_before(bucket, key, body, query, headers)
    parts = upload["parts"]
    numbers = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", body)]
    if numbers != sorted(set(numbers)):
        return s3._error(
            "InvalidPartOrder", "The list of parts was not in ascending order.", 400
        )
    if any(parts[n]["size"] < MIN_PART_BYTES for n in numbers[:-1] if n in parts):
        return s3._error(
            "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", 400
        )
    if upload.get("checksum_type") != FULL_OBJECT:
        return complete_before(bucket, key, body, query, headers)
    wanted = (headers or {}).get("x-amz-checksum-type")
    if wanted and wanted.upper() != FULL_OBJECT:
        return s3._error(
            "InvalidRequest", "The upload was created with a different checksum type.", 400
        )

    def whole(algorithm):
        if any(n not in parts for n in numbers):
            return None
        return s3._compute_s3_checksum(algorithm, b"".join(parts[n]["body"] for n in numbers))

    completing.whole = whole
    try:
        status, answer, body = complete_before(bucket, key, body, query, headers)
    finally:
        completing.whole = None
    if status == 200 and upload_id in s3._completed_multipart_uploads:
        body = body.replace(b"<ChecksumType>COMPOSITE", b"<ChecksumType>FULL_OBJECT")
        s3._completed_multipart_uploads[upload_id]["response"] = (status, answer, body)
        s3._buckets[bucket]["objects"][key]["checksum_type"] = FULL_OBJECT
    return status, answer, body


def end_with_parent():
    """Whoever started this holds the other end; also a killed process lets go."""
    sys.stdin.buffer.read()
    os._exit(0)


s3._crc32c = checksums.crc32c
s3._crc64nvme = checksums.crc64nvme
s3._composite_checksum = checksum
s3._create_multipart_upload = create
s3._complete_multipart_upload = complete

if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    # Tests have more connections than the usual 1024.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("port", os.environ["GATEWAY_PORT"], flush=True)
    # Instead of MiniStack's own server in Python, which took half of the time.
    uvicorn.run(
        app.app,
        host=os.environ["BIND_HOST"],
        port=int(os.environ["GATEWAY_PORT"]),
        loop="uvloop",
        http="httptools",
        timeout_keep_alive=75,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
    )
