"""A client that shares no code with Sluice: 4 parts on one bidirectional stream,
one frame damaged on the way. Prints what the server said, one JSON object a line.

usage: bidi.py SERVER API_KEY NAME SEED
"""

import json
import queue
import random
import sys

import google_crc32c
import grpc
from sluice.v1 import upload_pb2, upload_pb2_grpc

MIB = 1024 * 1024
PART = MIB
FRAME = 256 * 1024
PARTS = 4
# Every answer comes within this time, in seconds, or never.
LIMIT = 60


def crc32c(data):
    return int.from_bytes(google_crc32c.Checksum(data).digest(), "big")


def frames_of_part(content, part, damaged=None):
    """The messages of one part; the frame with index `damaged` is not what its
    checksum says."""
    for index, offset in enumerate(range(part * PART, (part + 1) * PART, FRAME)):
        data = content[offset : offset + FRAME]
        checksum = crc32c(data)
        if index == damaged:
            data = data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
        yield upload_pb2.BidiWriteUploadRequest(
            write_offset=offset,
            checksummed_data={"content": data, "crc32c": checksum},
        )


def main(server, key, name, seed):
    content = random.Random(int(seed)).randbytes(PARTS * PART)
    credential = [("authorization", f"Bearer {key}")]
    channel = grpc.insecure_channel(server.removeprefix("http://"))
    uploads = upload_pb2_grpc.UploadServiceStub(channel)

    created = uploads.CreateUpload(
        upload_pb2.CreateUploadRequest(
            name=name, size=len(content), preferred_part_size=PART
        ),
        metadata=credential,
        timeout=LIMIT,
    )
    upload = created.upload
    assert upload.part_size == PART, upload.part_size

    # What is to be sent is put here; None closes this side of the stream.
    outgoing = queue.SimpleQueue()
    outgoing.put(
        upload_pb2.BidiWriteUploadRequest(
            upload_id=upload.id, writer_epoch=upload.writer_epoch
        )
    )
    for part in range(PARTS):
        for message in frames_of_part(content, part, damaged=1 if part == 2 else None):
            outgoing.put(message)

    answers = uploads.BidiWriteUpload(
        iter(outgoing.get, None), metadata=credential, timeout=LIMIT
    )
    persisted = set()
    for answer in answers:
        kind = answer.WhichOneof("response")
        if kind == "upload":
            print(json.dumps({"said": "upload", "id": answer.upload.id}))
        elif kind == "persisted":
            persisted.add(answer.persisted.start)
            print(json.dumps({"said": "persisted", "start": answer.persisted.start}))
            if len(persisted) == PARTS:
                checksums = {"crc32c": crc32c(content)}
                outgoing.put(
                    upload_pb2.BidiWriteUploadRequest(
                        complete=True, expected_checksums=checksums
                    )
                )
        elif kind == "frame_error":
            error = answer.frame_error
            print(
                json.dumps(
                    {
                        "said": "frame_error",
                        "offset": error.offset,
                        "part_offset": error.part_offset,
                    }
                )
            )
            for message in frames_of_part(content, error.part_offset // PART):
                outgoing.put(message)
        elif kind == "completed":
            file = answer.completed.file
            print(
                json.dumps(
                    {
                        "said": "completed",
                        "file_id": file.id,
                        "size": file.size,
                        "crc32c": file.checksums.crc32c,
                    }
                )
            )
    outgoing.put(None)
    print(json.dumps({"said": "end", "crc32c": crc32c(content)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
