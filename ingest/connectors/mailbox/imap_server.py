"""An IMAP server's side, as far as a folder is only read: a small server on this machine.

After RFC 3501. It knows LOGIN, EXAMINE, UID SEARCH by numbers and UID FETCH of headers and whole
messages, and says BAD to everything else, so that any attempt to change something is detected.
"""

from __future__ import annotations

import re
import shlex
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence

HOST = "127.0.0.1"
UID_VALIDITY = 5
#: Numbers of messages have gaps where others were deleted.
STEP = 7
#: Date of arrival of every message.
CAME_IN = "20-Nov-2026 16:15:03 +0900"
_FETCH = re.compile(r"\(UID INTERNALDATE RFC822\.SIZE BODY\.PEEK\[(HEADER)?\]<0\.(\d+)>\)")


class ImapServer:
    """A server with one user and one folder, whose `messages` are set from outside."""

    def __init__(self, username: str, password: str, folder: str = "INBOX") -> None:
        """Start the server."""
        self.login = [username, password]
        self.folder = folder
        self.messages: Sequence[bytes] = ()
        self._tcp = socketserver.ThreadingTCPServer((HOST, 0), self._session)
        self._tcp.daemon_threads = True
        self._thread = threading.Thread(target=self._tcp.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._tcp.server_address[1])

    def close(self) -> None:
        """Stop the server."""
        self._tcp.shutdown()
        self._tcp.server_close()
        self._thread.join()

    def _session(self, *arguments: object) -> _Session:
        return _Session(self, *arguments)


class _Session(socketserver.StreamRequestHandler):
    """A connection: a command a line, with its tag."""

    def __init__(self, imap: ImapServer, *arguments: object) -> None:
        self._imap = imap
        self._open = False
        super().__init__(*arguments)  # type: ignore[arg-type]

    def handle(self) -> None:
        """Answer until the client leaves."""
        known: dict[str, Callable[[list[str]], Iterator[bytes]]] = {
            "CAPABILITY": self._capability,
            "LOGIN": self._login,
            "EXAMINE": self._examine,
            "UID SEARCH": self._search,
            "UID FETCH": self._fetch,
            "LOGOUT": self._logout,
        }
        self.wfile.write(b"* OK ready\r\n")
        for line in self.rfile:
            tag, name, *words = shlex.split(line.decode())
            if name == "UID":
                name, words = f"UID {words[0]}", words[1:]
            try:
                found = b"".join(known[name](words))
                self.wfile.write(found + f"{tag} OK done\r\n".encode())
            except (KeyError, ValueError, PermissionError) as error:
                kind = "NO" if isinstance(error, PermissionError) else "BAD"
                self.wfile.write(f"{tag} {kind} it is not so\r\n".encode())

    def _capability(self, _: list[str]) -> Iterator[bytes]:
        yield b"* CAPABILITY IMAP4rev1\r\n"

    def _login(self, words: list[str]) -> Iterator[bytes]:
        if words != self._imap.login:
            raise PermissionError
        self._open = True
        yield b""

    def _examine(self, words: list[str]) -> Iterator[bytes]:
        if not self._open or words != [self._imap.folder]:
            raise PermissionError
        count = len(self._imap.messages)
        yield f"* {count} EXISTS\r\n* OK [UIDVALIDITY {UID_VALIDITY}] valid\r\n".encode()
        yield f"* OK [UIDNEXT {count * STEP + 1}] next\r\n".encode()

    def _search(self, words: list[str]) -> Iterator[bytes]:
        kind, numbers = words
        if kind != "UID":
            raise ValueError(kind)
        first, last = map(int, numbers.split(":"))
        uids = range(STEP, len(self._imap.messages) * STEP + 1, STEP)
        found = " ".join(str(uid) for uid in uids if first <= uid <= last)
        yield f"* SEARCH {found}\r\n".encode()

    def _fetch(self, words: list[str]) -> Iterator[bytes]:
        numbers, *what = words
        asked = _FETCH.fullmatch(" ".join(what))
        if asked is None:
            raise ValueError(what)
        for uid in map(int, numbers.split(",")):
            at = uid // STEP
            message = self._imap.messages[at - 1]
            part = _headers(message) if asked[1] else message
            data = part[: int(asked[2])]
            told = f'UID {uid} INTERNALDATE "{CAME_IN}" RFC822.SIZE {len(message)}'
            head = f"* {at} FETCH ({told} BODY[{asked[1] or ''}]<0> {{{len(data)}}}\r\n"
            yield head.encode() + data + b")\r\n"

    def _logout(self, _: list[str]) -> Iterator[bytes]:
        yield b"* BYE until later\r\n"


def _headers(message: bytes) -> bytes:
    head, end, _ = message.partition(b"\r\n\r\n")
    return head + end
