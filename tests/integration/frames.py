"""Speaks the data plane: the upgrade of GET /v1/stream and the frames after it (common/proto/poold/v1/stream.proto).

The messages are generated from the contract into a temporary directory when this module is imported, so that the tests cannot drift from it.
"""

import atexit
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import control

PROTO_ROOT = pathlib.Path(__file__).resolve().parents[2] / "common" / "proto"


def _generate():
    directory = tempfile.mkdtemp(prefix="poold-proto-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    files = [str(path) for path in sorted((PROTO_ROOT / "poold" / "v1").glob("*.proto"))]
    subprocess.run(["protoc", f"-I{PROTO_ROOT}", f"--python_out={directory}", *files], check=True)
    sys.path.insert(0, directory)


_generate()
from poold.v1 import stream_pb2, task_pb2  # noqa: E402  pylint: disable=wrong-import-position

UPGRADE = b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: poold-frames/1\r\n\r\n"


def envelope(payload, flags=0):
    return struct.pack(">BI", flags, len(payload)) + payload


class StreamClosed(Exception):
    """The daemon closed the stream."""


class Stream:
    """A client connection after its upgrade. Hellos are exchanged unless `hello` is False."""

    def __init__(self, path, cancel_on_close=False, hello=True, timeout=60):
        self.socket = control.connect(path, timeout)
        self.buffer = bytearray()
        self.socket.sendall(UPGRADE)
        head = self._read_head()
        if not head.startswith(b"HTTP/1.1 101 "):
            raise AssertionError(f"no upgrade: {head!r}")
        if hello:
            frame = stream_pb2.ClientFrame()
            frame.hello.versions.append(1)
            frame.hello.cancel_on_close = cancel_on_close
            frame.hello.agent = "integration test"
            self.send(frame)
            answer = self.receive()
            assert answer.HasField("hello") and 1 in answer.hello.versions, answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, *frames):
        self.send_raw(b"".join(envelope(frame.SerializeToString()) for frame in frames))

    def send_raw(self, data):
        self.socket.sendall(data)

    def submit(self, tag, argv=None, function=None, args=(), **options):
        """`options`: want_accepted, want_started, want_output, take_over, timeout_ms, and fields of TaskSpec."""
        frame = stream_pb2.ClientFrame()
        submit = frame.submit
        submit.tag = tag
        for want in ("want_accepted", "want_started", "want_output", "take_over"):
            setattr(submit, want, options.pop(want, False))
        if argv is not None:
            submit.task.command.argv.extend(argv)
        if function is not None:
            submit.task.function.name = function
            submit.task.function.SetInParent()
            for arg in args:
                set_value(submit.task.function.args.add(), arg)
        if "timeout_ms" in options:
            submit.task.timeout.FromMilliseconds(options.pop("timeout_ms"))
        for name, value in options.items():
            setattr(submit.task, name, value)
        self.send(frame)

    def cancel(self, tag):
        frame = stream_pb2.ClientFrame()
        frame.cancel.tag = tag
        self.send(frame)

    def receive(self):
        """The next frame; StreamClosed at the end."""
        head = self._take(5)
        flags, length = struct.unpack(">BI", head)
        assert flags == 0, f"flags {flags}"
        frame = stream_pb2.ServerFrame()
        frame.ParseFromString(bytes(self._take(length)))
        return frame

    def receive_until(self, *kinds):
        """Reads on to the first frame of one of these kinds; returns it and those before it."""
        before = []
        while True:
            frame = self.receive()
            if frame.WhichOneof("frame") in kinds:
                return frame, before
            before.append(frame)

    def result(self):
        return self.receive_until("result", "rejected")[0]

    def _read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        return head

    def _take(self, count):
        while len(self.buffer) < count:
            self._fill()
        taken = self.buffer[:count]
        del self.buffer[:count]
        return taken

    def _fill(self):
        try:
            data = self.socket.recv(1 << 16)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        if not data:
            raise StreamClosed(bytes(self.buffer))
        self.buffer += data


def set_value(value, python):
    """Puts None, a bool, a number or a text into a google.protobuf.Value."""
    if python is None:
        value.null_value = 0
    elif isinstance(python, bool):
        value.bool_value = python
    elif isinstance(python, (int, float)):
        value.number_value = python
    else:
        value.string_value = python


def outcome_name(outcome):
    return task_pb2.Outcome.Kind.Name(outcome.kind)


def read_to_end(connection, seconds):
    """All bytes until the peer closes; socket.timeout if it does not."""
    connection.settimeout(seconds)
    data = b""
    while True:
        try:
            more = connection.recv(1 << 16)
        except (ConnectionResetError, BrokenPipeError):
            return data
        if not more:
            return data
        data += more


__all__ = ["Stream", "StreamClosed", "envelope", "outcome_name", "read_to_end", "set_value", "stream_pb2"]
