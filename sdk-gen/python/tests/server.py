"""A real server in a process of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class Server:
    """Runs until it is stopped. A server that was killed can be started on its port again."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._settings = {f"SLUICE__{name}": value for name, value in settings.items()}
        self.start("127.0.0.1:0")

    def start(self, listen: str) -> None:
        self._process = subprocess.Popen(
            [
                os.environ["SLUICE_BIN"],
                "serve",
                "--data-dir",
                str(self._folder),
                "--listen",
                listen,
                "--log-level",
                "warn",
            ],
            stdout=subprocess.PIPE,
            env={**os.environ, **self._settings},
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("listening on "):
                self.url = line.removeprefix("listening on ").strip()
                break
        else:
            raise RuntimeError("the server did not start")
        self.api_key = (self._folder / "api-key").read_text().strip()

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def restart(self) -> None:
        self.start(f"127.0.0.1:{self.port}")
