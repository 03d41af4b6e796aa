"""A network that cuts, stalls, damages and loses, between a client and a server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Faults:
    """What happens to the bytes that clients send, counted over all connections. Each fault
    happens once."""

    cuts: list[int] = field(default_factory=list)
    """Connections break when so many bytes have passed."""
    stall_at: int | None = None
    """From here on, nothing passes on the connection that came so far, in either direction."""
    damage_at: int | None = None
    """A byte arrives as another one."""
    lose_reply_at: int | None = None
    """What the server says from here on is lost, and the connection breaks a moment later."""


class Proxy:
    def __init__(self, port: int, faults: Faults | None = None) -> None:
        self._port = port
        self.faults = faults or Faults()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.sent = 0
        """Bytes that clients have sent."""
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks all connections."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            _end(each)

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._sockets += [client, server]
            link = _Link(self, client, server)
            for pump in (link.up, link.down):
                threading.Thread(target=pump, daemon=True).start()

    def passes(self, content: bytearray, link: _Link) -> bool:
        """Does what is due to bytes of a client; answers whether the connection lives."""
        with self._lock:
            before = self.sent
            self.sent += len(content)
            faults = self.faults
            if faults.damage_at is not None and before <= faults.damage_at < self.sent:
                content[faults.damage_at - before] ^= 1
                faults.damage_at = None
            if faults.stall_at is not None and self.sent >= faults.stall_at:
                faults.stall_at = None
                link.stalled = True
            if faults.lose_reply_at is not None and self.sent >= faults.lose_reply_at:
                faults.lose_reply_at = None
                link.deaf = True
                threading.Timer(0.5, link.end).start()
            if faults.cuts and self.sent >= faults.cuts[0]:
                faults.cuts.pop(0)
                return False
        return True


class _Link:
    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self.stalled = False
        self.deaf = False

    def up(self) -> None:
        try:
            while content := self._client.recv(65536):
                passed = bytearray(content)
                if not self._proxy.passes(passed, self):
                    break
                if self.stalled:
                    return  # Without reading on, as a network does that is gone.
                self._server.sendall(passed)
        except OSError:
            pass
        self.end()

    def down(self) -> None:
        try:
            while content := self._server.recv(65536):
                if self.stalled:
                    return
                if not self.deaf:
                    self._client.sendall(content)
        except OSError:
            pass
        self.end()

    def end(self) -> None:
        _end(self._client)
        _end(self._server)


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


@contextmanager
def network(port: int, faults: Faults | None = None) -> Iterator[Proxy]:
    proxy = Proxy(port, faults)
    try:
        yield proxy
    finally:
        proxy.close()
