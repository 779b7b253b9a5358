"""Follows one task's output to its end, over a connection of its own."""

from __future__ import annotations

from typing import Iterator

from ._connection import Connection
from ._wire import READ_SIZE, FrameReader, frame
from .errors import ConnectionLost, call_error
from .tasks import LogChunk, chunk_from
from .v1 import stream_pb2


def follow(path: str, task_id: str, attempt: int, offset: int) -> Iterator[LogChunk]:
    """The output of this attempt (0: the last) from this offset on, and of those after it, as it comes. CallError: there is no such task."""
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
        connection.socket.sendall(frame(hello.SerializeToString()) + frame(wish.SerializeToString()))
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
            data = connection.socket.recv(READ_SIZE)
            if not data:
                raise ConnectionLost("the connection to the daemon broke before the task ended")
            payloads = reader.feed(data)
    finally:
        connection.close()
