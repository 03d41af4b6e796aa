"""Accounts, sessions and keys."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from conftest import MIB, Connect
from server import Server
from sluice_sdk import Client, ErrorKind, SluiceError, Tokens
from sluice_sdk.session import OnTokens

PASSWORD = "correct horse battery staple"
# Longer than the access tokens of the test's server live.
EXPIRED = 1.2


def test_signing_in_and_out(connect: Connect, server: Server, name: str) -> None:
    kept: list[Tokens | None] = []
    client = connect(server.url, on_tokens=kept.append)
    with pytest.raises(SluiceError) as caught:
        client.account()
    assert caught.value.reason == "CREDENTIALS_INVALID"
    email = f"{name}@example.com"
    registered = client.register(email, PASSWORD, display_name="Somebody")
    assert client.account().id == registered.account.id
    assert PASSWORD not in repr(registered)
    assert registered.tokens.access_token not in repr(registered)

    signed_in = client.login(email, PASSWORD, device_token=registered.device_token)
    assert kept == [registered.tokens, signed_in.tokens]
    assert client.update_account("Somebody else").display_name == "Somebody else"
    assert [session.current for session in client.list_sessions()] == [True, False]
    client.revoke_session(registered.tokens.session_id)
    assert client.revoke_other_sessions() == 0
    client.change_password(PASSWORD, PASSWORD + "!")
    assert client.usage().stored_bytes == 0

    client.logout()
    assert kept[-1] is None
    with pytest.raises(SluiceError) as caught:
        client.account()
    assert caught.value.reason == "CREDENTIALS_INVALID"
    with pytest.raises(SluiceError) as caught:
        client.logout()
    assert caught.value.kind is ErrorKind.USAGE
    client.login(email, PASSWORD + "!")
    client.delete_account(PASSWORD + "!")
    with pytest.raises(SluiceError):
        client.login(email, PASSWORD + "!")


def test_keys(connect: Connect, server: Server, name: str) -> None:
    client = connect(server.url, api_key=server.api_key)
    key = client.create_api_key(name, ["files:read", "account:read"], ttl=timedelta(hours=1))
    assert key.secret not in repr(key)
    limited = connect(server.url, api_key=key.secret)
    assert limited.account().id == client.account().id
    with pytest.raises(SluiceError) as caught:
        limited.upload(b"x", name=name)
    assert (caught.value.reason, caught.value.metadata["scope"]) == (
        "SCOPE_MISSING",
        "uploads:write",
    )
    assert name in [each.name for each in client.list_api_keys()]
    client.revoke_api_key(key.api_key.id)
    with pytest.raises(SluiceError) as caught:
        limited.account()
    assert caught.value.reason in ("TOKEN_REVOKED", "CREDENTIALS_INVALID")
    with pytest.raises(SluiceError) as caught:
        client.create_api_key(name, ["files:fly"])
    assert caught.value.kind is ErrorKind.USAGE


def signed_in(server: Server, name: str) -> Tokens:
    with Client(server.url) as client:
        return client.register(f"{name}@example.com", PASSWORD).tokens


def test_a_session_is_refreshed_once_for_many_calls(server: Server, name: str) -> None:
    kept: list[Tokens | None] = []
    with Client(server.url, tokens=signed_in(server, name), on_tokens=kept.append) as client:
        time.sleep(EXPIRED)
        ids: list[str] = []
        threads = [
            threading.Thread(target=lambda: ids.append(client.account().id)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ids) == 8
        assert len(kept) == 1
        client.refresh_session()
        assert len(kept) == 2


def test_an_upload_outlives_its_token(
    connect: Connect, server: Server, name: str, content: bytes
) -> None:
    client = connect(server.url, tokens=signed_in(server, name))
    slow = _Slow(content[: 12 * MIB])
    uploaded = client.upload(slow, name=name, part_size=MIB)
    assert slow.took > 2 * EXPIRED
    assert b"".join(client.read(uploaded.file.id)) == content[: 12 * MIB]


class _Slow:
    """A stream that takes longer than a token lives."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._offset = 0
        self._began = time.monotonic()
        self.took = 0.0

    def read(self, size: int, /) -> bytes:
        time.sleep(0.2)
        self.took = time.monotonic() - self._began
        self._offset, before = self._offset + size, self._offset
        return self._content[before : self._offset]


def refuse(tokens: Tokens | None) -> None:
    raise OSError("the disk is full")


@pytest.mark.parametrize("on_tokens", [refuse])
def test_tokens_that_cannot_be_kept_are_not_used(
    connect: Connect, server: Server, name: str, on_tokens: OnTokens
) -> None:
    client = connect(server.url, tokens=signed_in(server, name), on_tokens=on_tokens)
    with pytest.raises(SluiceError) as caught:
        client.refresh_session()
    assert (caught.value.kind, "disk" in str(caught.value)) == (ErrorKind.LOCAL, True)


def test_a_session_that_has_ended(connect: Connect, server: Server, name: str) -> None:
    tokens = signed_in(server, name)
    client = connect(server.url, tokens=Tokens(tokens.access_token, "nonsense"))
    client.account()
    time.sleep(EXPIRED)
    for _ in range(2):
        with pytest.raises(SluiceError) as caught:
            client.account()
        assert caught.value.reason == "CREDENTIALS_INVALID"


def test_a_key_or_tokens() -> None:
    with pytest.raises(SluiceError) as caught:
        Client("http://localhost", api_key="a", tokens=Tokens("b", "c"))
    assert caught.value.kind is ErrorKind.USAGE
    with pytest.raises(SluiceError) as caught:
        Client("http://localhost", api_key="a\nb")
    assert caught.value.kind is ErrorKind.USAGE
