"""Servers that are reached by TLS."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from conftest import Connect
from server import Server
from sluice_sdk import ErrorKind, SluiceError


def test_authorities_of_ones_own(connect: Connect, name: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for pem in issued.cert_chain_pems:
        pem.write_to_path(certificate, append=True)
    issued.private_key_pem.write_to_path(key)
    server = Server(tmp_path / "server", TLS__CERTIFICATE=str(certificate), TLS__KEY=str(key))
    try:
        assert server.url.startswith("https://")
        trusted = authority.cert_pem.bytes()
        client = connect(server.url, api_key=server.api_key, ca_certificates=trusted)
        file = client.upload(b"secret", name=name).file
        assert b"".join(client.read(file.id)) == b"secret"
        stranger = connect(server.url, api_key=server.api_key, give_up_after=0)
        with pytest.raises(SluiceError) as caught:
            stranger.account()
        assert caught.value.kind is ErrorKind.TRANSPORT
    finally:
        server.kill()
