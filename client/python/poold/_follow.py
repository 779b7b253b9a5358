"""Follows one task's output to its end, over a connection of its own."""

from __future__ import annotations

from time import monotonic
from typing import Iterator

from ._connection import Connection
from ._outage import Outage, forgotten
from ._wire import READ_SIZE, FrameReader, frame
from .errors import ConnectionLost, NotFound, Unavailable, call_error
from .tasks import LogChunk, chunk_from
from .v1 import stream_pb2


def follow(path: str, task_id: str, attempt: int, offset: int, reconnect_s: float, known: bool) -> Iterator[LogChunk]:
    """The output of this attempt (0: the last) from this offset on, and of those after it, as it comes. CallError: there is no such task.

    reconnect_s: how long the daemon may be away when the connection breaks; then the output goes on where it was. known: it has answered before, and
    may be away just now.
    """
    outage = None
    while True:
        begun = monotonic()
        try:
            for chunk in _follow_once(path, task_id, attempt, offset):
                attempt, offset, outage, known = chunk.attempt, chunk.next_offset, None, True
                yield chunk
            return
        except NotFound as error:
            raise (error if outage is None else NotFound(forgotten(task_id))) from None
        except Unavailable as error:
            known = known or isinstance(error, ConnectionLost)
            if not reconnect_s or not known or error.code != Unavailable.default_code:
                raise
            if outage is None:
                outage = Outage(reconnect_s)
            outage.again(begun)
            if not outage.pause():
                raise type(error)(f"{outage.over(error)}; what became of task {task_id} is not known") from None


def _follow_once(path: str, task_id: str, attempt: int, offset: int) -> Iterator[LogChunk]:
    connection = Connection(path)
    try:
        reader = FrameReader()
        payloads = reader.feed(connection.upgrade())
        hello = stream_pb2.ClientFrame()
        hello.hello.versions.append(1)
        wish = stream_pb2.ClientFrame()
        wish.follow.tag, wish.follow.id, wish.follow.want_output = 1, task_id, True
        wish.follow.attempt, wish.follow.offset = attempt, offset
        connection.socket.setblocking(True)
        try:
            connection.socket.sendall(frame(hello.SerializeToString()) + frame(wish.SerializeToString()))
        except OSError:
            pass  # it has hung up, which the read will notice, and perhaps why
        while True:
            for payload in payloads:
                message = stream_pb2.ServerFrame.FromString(payload)
                kind = message.WhichOneof("frame")
                if kind == "output":
                    yield chunk_from(message.output.chunk, message.output.attempt, message.output.next_offset)
                elif kind == "rejected":
                    raise call_error(message.rejected.code, message.rejected.message)
                elif kind == "error":
                    raise ConnectionLost(f"the daemon closed the stream: {message.error.message}", message.error.code)
                elif kind == "result":
                    return
            try:
                data = connection.socket.recv(READ_SIZE)
            except OSError:
                data = b""
            if not data:
                raise ConnectionLost("the connection to the daemon broke before the task ended")
            payloads = reader.feed(data)
    finally:
        connection.close()
