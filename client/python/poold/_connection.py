"""The daemon's socket: where it is, connecting to it, and unary calls over it (the Connect protocol in HTTP/1.1).

One connection carries one call at a time. Nothing here knows tasks; a stream takes the connection over after its upgrade (see stream.py).
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import struct
from time import monotonic

from . import __version__
from .errors import CallError, ConnectionLost, DeadlineExceeded, ProtocolError, Unavailable, call_error

SYSTEM_SOCKET = "/run/poold/control.sock"
CONNECT_TIMEOUT_S = 10.0
_HEAD_SIZE_MAX = 64 * 1024
_READ_SIZE = 256 * 1024
# Connect's codes for an answer that is not the daemon's own.
_CODES = {401: "unauthenticated", 403: "permission_denied", 404: "unimplemented", 413: "resource_exhausted"}
_CODES.update(dict.fromkeys((429, 502, 503, 504), "unavailable"))


def socket_path(chosen: str | os.PathLike[str] | None = None) -> str:
    """`chosen` or POOLD_SOCKET if given, else the first that exists of $XDG_RUNTIME_DIR/poold/control.sock and /run/poold/control.sock."""
    path = os.fspath(chosen) if chosen else os.environ.get("POOLD_SOCKET", "")
    if path:
        return path
    directory = os.environ.get("XDG_RUNTIME_DIR", "")
    private = f"{directory}/poold/control.sock"
    return private if directory and os.path.exists(private) else SYSTEM_SOCKET


def connect(path: str, timeout_s: float = CONNECT_TIMEOUT_S) -> socket.socket:
    """A connected socket. Unavailable: nobody listens there; the message says where and why."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A socket that does not block would be refused by a full backlog, one that blocks waits for its turn.
        whole = int(timeout_s)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", whole, int((timeout_s - whole) * 1e6)))
        connection.connect(path)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 0))
        connection.setblocking(False)
        return connection
    except OSError as error:
        connection.close()
        nobody = Unavailable(f"no daemon at {path}: {_reason(error)}")
        nobody.arrived = False
        raise nobody from None
    except BaseException:
        connection.close()
        raise


def _reason(error: OSError) -> str:
    if error.errno == errno.EAGAIN:
        return "it does not take connections in time"
    if error.errno == errno.ENOENT:
        return "there is no such socket (is poold running? set POOLD_SOCKET, or give its path)"
    if error.errno == errno.ECONNREFUSED:
        return "nobody listens on this socket (poold has ended)"
    return error.strerror or str(error)


class Connection:
    """For one thread at a time."""

    def __init__(self, path: str, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        self.socket = connect(path, connect_timeout_s)
        self.reusable = True
        self._poll = select.poll()
        self._poll.register(self.socket, select.POLLIN)
        self._received = bytearray()

    def close(self) -> None:
        """Ends the connection."""
        self.socket.close()

    def shut_down(self) -> None:
        """Ends it while another thread waits for an answer, which is told that the connection has broken."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has broken by itself

    def __del__(self) -> None:
        # A client that is dropped without close() is no mistake; a connection that failed has no socket.
        if hasattr(self, "socket"):
            self.socket.close()

    def stale(self) -> bool:
        """The daemon has closed it since the last call (or has sent what nobody asked for)."""
        return bool(self._poll.poll(0))

    def call(self, method: str, body: bytes, content_type: str, timeout_s: float | None) -> bytes:
        """One unary call: the answer's body. CallError: it was refused. timeout_s: how long the whole may take; None: no limit."""
        head = (
            f"POST /{method} HTTP/1.1\r\nHost: poold\r\nUser-Agent: poold-python/{__version__}\r\nConnect-Protocol-Version: 1\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        deadline = None if timeout_s is None else monotonic() + timeout_s
        sent = False
        try:
            sent = self._send(head.encode("ascii") + body, deadline)
            status, answer = self._receive(deadline)
        except BaseException as error:
            self.reusable = False  # nobody can tell where the next answer would begin
            if isinstance(error, ConnectionLost):
                error.arrived = None if sent else False
            raise
        if status != 200:
            raise _refusal(status, answer)
        return answer

    def upgrade(self, timeout_s: float = 60.0) -> bytes:
        """Turns the connection into a stream of frames; returns what has come after the answer."""
        head = "GET /v1/stream HTTP/1.1\r\nHost: poold\r\nConnection: Upgrade\r\nUpgrade: poold-frames/1\r\n\r\n"
        deadline = monotonic() + timeout_s
        self._send(head.encode("ascii"), deadline)
        status, headers = self._receive_head(deadline)
        if status != 101:
            raise _refusal(status, self._receive_body(headers, deadline))
        early = bytes(self._received)
        self._received.clear()
        return early

    def greet(self, hello: bytes, timeout_s: float) -> bytes:
        """After the upgrade: sends the first frame and returns the first bytes of the answer."""
        deadline = monotonic() + timeout_s
        self._send(hello, deadline)
        return self.read(deadline)

    def read(self, deadline: float) -> bytes:
        """After the upgrade: what has come, at least one byte."""
        self._fill(deadline)
        data = bytes(self._received)
        self._received.clear()
        return data

    def _send(self, data: bytes, deadline: float | None) -> bool:
        """False: the daemon has not got all of it, and so has not done what it asks for."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except BlockingIOError:
                # An answer before all was taken: it says why.
                if self._wait(select.POLLIN | select.POLLOUT, deadline, "take the request") & select.POLLIN:
                    return False
            except OSError:
                return False  # it hung up; the reason may be there to be read
        return True

    def _wait(self, events: int, deadline: float | None, what: str) -> int:
        self._poll.modify(self.socket, events)
        try:
            ready = self._poll.poll(None if deadline is None else max(0.0, deadline - monotonic()) * 1000)
        finally:
            self._poll.modify(self.socket, select.POLLIN)
        if not ready:
            raise DeadlineExceeded(f"the daemon did not {what} in time")
        return ready[0][1]

    def _fill(self, deadline: float | None) -> None:
        while True:
            try:
                data = self.socket.recv(_READ_SIZE)
            except BlockingIOError:
                self._wait(select.POLLIN, deadline, "answer")
                continue
            except OSError:
                data = b""
            if not data:
                raise ConnectionLost("the daemon closed the connection " + ("in the middle of its answer" if self._received else "without an answer"))
            self._received += data
            return

    def _receive(self, deadline: float | None) -> tuple[int, bytes]:
        status, headers = self._receive_head(deadline)
        body = self._receive_body(headers, deadline)
        if self._received:
            raise ProtocolError("the daemon sent more than it was asked for")
        return status, body

    def _receive_head(self, deadline: float | None) -> tuple[int, dict[str, str]]:
        while True:
            end = self._received.find(b"\r\n\r\n")
            if end >= 0:
                break
            if len(self._received) > _HEAD_SIZE_MAX:
                raise ProtocolError("the daemon's answer has no end to its header")
            self._fill(deadline)
        lines = self._received[:end].decode("latin-1").split("\r\n")
        del self._received[: end + 4]
        version, _, rest = lines[0].partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ProtocolError(f"this is no poold: it answers {lines[0][:80]!r}")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if headers.get("connection", "").lower() == "close":
            self.reusable = False
        return int(rest[:3]), headers

    def _receive_body(self, headers: dict[str, str], deadline: float | None) -> bytes:
        length = headers.get("content-length", "")
        if not length.isdigit():
            raise ProtocolError("the daemon's answer has no length")
        while len(self._received) < int(length):
            self._fill(deadline)
        body = bytes(self._received[: int(length)])
        del self._received[: int(length)]
        return body


def _refusal(status: int, body: bytes) -> CallError:
    try:
        answer = json.loads(body)
        return call_error(str(answer["code"]), str(answer.get("message", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return call_error(_CODES.get(status, "unknown"), f"the daemon answered with HTTP status {status}")
