"""A plugin of protoc that generates Python: messages, services and their types.

The plugin for services is no program of its own on PyPI, only a part of grpcio-tools;
so this runs that, and moves what comes out into the package of the SDK.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet

PACKAGE = "sluice_sdk._gen"


def main() -> None:
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    with tempfile.TemporaryDirectory() as scratch:
        descriptors = Path(scratch, "descriptors")
        out = Path(scratch, "out")
        out.mkdir()
        descriptors.write_bytes(
            FileDescriptorSet(file=request.proto_file).SerializeToString()
        )
        kinds = ["python_out=", "grpc_python_out=", "mypy_out=quiet:", "mypy_grpc_out=quiet:"]
        subprocess.run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                f"--descriptor_set_in={descriptors}",
                *(f"--{kind}{out}" for kind in kinds),
                *request.file_to_generate,
            ],
            check=True,
            # The plugins for types are beside this interpreter.
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=sys.stderr,
        )
        files = sorted(path for path in out.rglob("*") if path.is_file())
        for path in files:
            # Absolute imports lead into the SDK's package, so that nobody else's
            # package of the name can be meant.
            content = re.sub(
                r"^(from|import) sluice\.", rf"\1 {PACKAGE}.sluice.", path.read_text(), flags=re.M
            )
            response.file.add(name=str(path.relative_to(out)), content=content)
        for folder in sorted({parent for file in response.file for parent in Path(file.name).parents}):
            name = folder / "__init__.py"
            response.file.add(name=str(name), content='"""Generated from the contract."""\n')
    sys.stdout.buffer.write(response.SerializeToString())


main()
