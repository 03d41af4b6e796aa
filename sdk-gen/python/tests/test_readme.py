"""The examples of the README, run as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import MIB
from server import Server
from sluice_sdk import Client

README = (Path(__file__).parents[1] / "README.md").read_text()
SECTIONS = re.split(r"^## ", README, flags=re.MULTILINE)[1:]
EXAMPLES = [
    (section.partition("\n")[0], code)
    for section in SECTIONS
    for code in re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
]
# What each of them prints, in the order in which they stand there.
EXPECTED = [
    ("Upload a file with progress", r"\d+ of 100663296 bytes\n.*\nholiday.mp4 is file_\S+\n$"),
    ("Upload a file with progress", r"^videos/holiday.mp4 is file_\S+\n$"),
    ("Resume", r"^stopped: cancelled\n\d{7,} bytes were there already, \d{7,} were sent\n$"),
    (
        "Find and download",
        r"^the first 1000 of 100663296 bytes\nholiday.mp4 http://\S+\n$",
    ),
    ("Watch", r"^(watched-\d is STATE_READY\n|watched-\d: .*\n)*file_\S+ is gone\n$"),
    ("Errors", r"^server INVALID_FIELD False\n\S*name must be .*\n$"),
    (
        "Accounts and keys",
        (
            r"^keep session ses_\S+\n0 bytes are stored for reader@example.com\n"
            r"key_\S+ has a secret of 54 characters\nthe session has ended\n$"
        ),
    ),
    ("Everything else", r"^1 file on the first page\n$"),
]
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose access tokens outlive an example, so that each prints the same every time."""
    server = Server(tmp_path_factory.mktemp("readme-server"), ACCOUNTS__REGISTRATION="open")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "holiday.mp4").write_bytes(os.urandom(MIB) * 96)
    return home


def test_no_example_is_forgotten() -> None:
    assert [title for title, _ in EXAMPLES] == [title for title, _ in EXPECTED]


def test_the_first_is_short() -> None:
    assert len([line for line in EXAMPLES[0][1].splitlines() if line.strip()]) <= 10


def change(client: Client, process: subprocess.Popen[str]) -> None:
    """Makes and deletes files for as long as somebody watches."""
    while process.poll() is None:
        files = [client.upload(b"content", name=f"watched-{n}").file for n in range(2)]
        for file in files:
            time.sleep(0.2)
            client.delete(file.id)


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_it_runs_as_printed(server: Server, client: Client, home: Path, number: int) -> None:
    title, code = EXAMPLES[number]
    environment = {
        **os.environ,
        "SLUICE_SERVER": server.url,
        "SLUICE_API_KEY": server.api_key,
        "SLUICE_EMAIL": "reader@example.com",
        "SLUICE_PASSWORD": PASSWORD,
    }
    if title == "Accounts and keys":
        with Client(server.url) as other:
            other.register("reader@example.com", PASSWORD)
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killer = threading.Timer(40, process.kill)
    killer.start()
    acting = threading.Thread(target=change, args=(client, process))
    if title == "Watch":
        acting.start()
    printed, complaints = process.communicate()
    killer.cancel()
    assert (process.returncode, complaints) == (0, "")
    if title == "Watch":
        acting.join()
    assert re.search(EXPECTED[number][1], printed), printed
    if title == "Find and download":
        assert (home / "copy.mp4").read_bytes() == (home / "holiday.mp4").read_bytes()
