"""What a client can do about accounts, sessions and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from . import contract, errors, session
from ._gen.sluice.v1 import account_pb2, auth_pb2, capabilities_pb2
from ._gen.sluice.v1.account_pb2 import Account, ApiKey, Scope, Session, Usage
from ._gen.sluice.v1.capabilities_pb2 import Capabilities
from .connection import Connection
from .errors import ErrorKind, SluiceError
from .series import Pages, Series
from .session import Tokens

# The most that a page can have.
_PAGE_SIZE = 1000


@dataclass(frozen=True)
class SignedIn:
    """Somebody who has signed in."""

    account: Account
    """Their account."""
    tokens: Tokens
    """The tokens of the new session."""
    device_token: str = field(repr=False)
    """Shows at the next sign-in that this device is known, so that strangers who try passwords
    cannot lock it out. It opens nothing by itself."""


@dataclass(frozen=True)
class NewApiKey:
    """An API key that was just made."""

    api_key: ApiKey
    """The key."""
    secret: str = field(repr=False)
    """Its secret, which cannot be had again."""


class AccountVerbs:
    """What a client can do about accounts, sessions and keys."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def capabilities(self) -> Capabilities:
        """What the server offers and where its limits are. Needs no credential, so it also
        tells whether the server can be reached."""
        request = capabilities_pb2.GetCapabilitiesRequest()
        return (await self._connection.call(contract.GET_CAPABILITIES, request)).capabilities

    async def register(
        self, email: str, password: str, *, display_name: str = "", setup_token: str = ""
    ) -> SignedIn:
        """Makes an account and signs this client in. Some servers ask for a token."""
        request = auth_pb2.RegisterRequest(
            email=email, password=password, display_name=display_name, setup_token=setup_token
        )
        answer = await self._connection.call_unrepeated(contract.REGISTER, request)
        return await self._signed_in(answer)

    async def login(self, email: str, password: str, *, device_token: str = "") -> SignedIn:
        """Signs this client in: from now on its calls are those of the new session."""
        request = auth_pb2.LoginRequest(email=email, password=password, device_token=device_token)
        answer = await self._connection.call(contract.LOGIN, request)
        return await self._signed_in(answer)

    async def _signed_in(
        self, answer: auth_pb2.LoginResponse | auth_pb2.RegisterResponse
    ) -> SignedIn:
        tokens = session.received(answer.tokens)
        await self._connection.credential.keep(tokens)
        return SignedIn(answer.account, tokens, answer.device_token)

    async def refresh_session(self) -> Tokens:
        """Gets the next tokens of the session now. The client does so by itself whenever the
        server finds that an access token has expired."""
        await self._connection.refresh()
        tokens = self._connection.credential.tokens
        if tokens is None:
            raise errors.lacks("tokens")
        return tokens

    async def logout(self) -> None:
        """Ends the session of this client."""
        tokens = self._connection.credential.tokens
        if tokens is None:
            raise SluiceError(ErrorKind.USAGE, "nobody has signed in")
        request = auth_pb2.LogoutRequest(refresh_token=tokens.refresh_token)
        await self._connection.call(contract.LOGOUT, request)
        await self._connection.credential.keep(None)

    async def account(self) -> Account:
        """The account that calls are made for."""
        request = account_pb2.GetAccountRequest()
        return (await self._connection.call(contract.GET_ACCOUNT, request)).account

    async def update_account(self, display_name: str, *, etag: str = "") -> Account:
        """Changes what people call the account."""
        request = account_pb2.UpdateAccountRequest(
            account=Account(display_name=display_name),
            update_mask=FieldMask(paths=["display_name"]),
            etag=etag,
        )
        return (await self._connection.call(contract.UPDATE_ACCOUNT, request)).account

    async def change_password(self, current_password: str, new_password: str) -> None:
        """Changes the password and ends all other sessions of the account."""
        request = account_pb2.ChangePasswordRequest(
            current_password=current_password, new_password=new_password
        )
        await self._connection.call_unrepeated(contract.CHANGE_PASSWORD, request)

    async def delete_account(self, password: str) -> None:
        """Deletes the account and everything that it owns. It cannot be undone."""
        request = account_pb2.DeleteAccountRequest(password=password)
        await self._connection.call_unrepeated(contract.DELETE_ACCOUNT, request)

    async def usage(self) -> Usage:
        """What the account holds and how much it may."""
        request = account_pb2.GetUsageRequest()
        return (await self._connection.call(contract.GET_USAGE, request)).usage

    def list_sessions(self) -> Series[Session]:
        """The account's open sessions, newest first."""

        async def fetch(token: str) -> tuple[Sequence[Session], str]:
            request = account_pb2.ListSessionsRequest(page_size=_PAGE_SIZE, page_token=token)
            page = await self._connection.call(contract.LIST_SESSIONS, request)
            return page.sessions, page.next_page_token

        return Pages(fetch)

    async def revoke_session(self, session_id: str) -> None:
        """Ends one session. What it has open ends within seconds."""
        request = account_pb2.RevokeSessionRequest(session_id=session_id)
        await self._connection.call(contract.REVOKE_SESSION, request)

    async def revoke_other_sessions(self) -> int:
        """Ends all sessions but that of this client; answers how many."""
        request = account_pb2.RevokeSessionRequest(all_others=True)
        return (await self._connection.call(contract.REVOKE_SESSION, request)).revoked

    async def create_api_key(
        self, name: str, scopes: Sequence[str], *, ttl: timedelta | None = None
    ) -> NewApiKey:
        """Makes an API key with scopes such as `files:read`; it never ends unless `ttl` is
        given."""
        request = account_pb2.CreateApiKeyRequest(
            name=name, scopes=[_scope(scope) for scope in scopes], ttl=duration(ttl)
        )
        answer = await self._connection.call_unrepeated(contract.CREATE_API_KEY, request)
        return NewApiKey(answer.api_key, answer.secret)

    def list_api_keys(self) -> Series[ApiKey]:
        """The account's API keys, newest first, without their secrets."""

        async def fetch(token: str) -> tuple[Sequence[ApiKey], str]:
            request = account_pb2.ListApiKeysRequest(page_size=_PAGE_SIZE, page_token=token)
            page = await self._connection.call(contract.LIST_API_KEYS, request)
            return page.api_keys, page.next_page_token

        return Pages(fetch)

    async def revoke_api_key(self, api_key_id: str) -> None:
        """Ends an API key. What it has open ends within seconds."""
        request = account_pb2.RevokeApiKeyRequest(api_key_id=api_key_id)
        await self._connection.call(contract.REVOKE_API_KEY, request)


def _scope(scope: str) -> Scope.ValueType:
    try:
        return Scope.Value("SCOPE_" + scope.replace(":", "_").upper())
    except ValueError:
        raise SluiceError(ErrorKind.USAGE, f"there is no scope {scope!r}") from None


def duration(span: timedelta | None) -> Duration | None:
    """A span of time as the contract has it."""
    if span is None:
        return None
    duration = Duration()
    duration.FromTimedelta(span)
    return duration
