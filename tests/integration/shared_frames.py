"""A stream that carries descriptors, frame by frame: what poold.Stream does, and what it never would."""

import array
import fcntl
import mmap
import os
import socket

import frames

ALL_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def memfd(size, seals=ALL_SEALS, content=b""):
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, content)
    os.truncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


class SharedStream(frames.Stream):
    """Says in its hello that it takes shared memory."""

    def __init__(self, path, **options):
        self.received = []
        super().__init__(path, hello=False)
        frame = frames.stream_pb2.ClientFrame()
        frame.hello.versions.append(1)
        frame.hello.shared_memory = True
        frame.hello.cancel_on_close = options.get("cancel_on_close", False)
        self.send(frame)
        assert self.receive().hello.shared_memory

    def submit_shared(self, tag, function, descriptors, size, **options):
        """The frame names `size` bytes; the descriptors, which are closed, go with its first byte."""
        frame = frames.stream_pb2.ClientFrame()
        frame.submit.tag = tag
        frame.submit.want_accepted = options.pop("want_accepted", False)
        frame.submit.task.function.name = function
        frame.submit.task.function.payload.content_type = "application/octet-stream"
        frame.submit.task.function.payload.shared_size = size
        for name, value in options.items():
            setattr(frame.submit.task, name, value)
        data = frames.envelope(frame.SerializeToString())
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        sent = self.socket.sendmsg([data], rights)
        for descriptor in descriptors:
            os.close(descriptor)
        self.socket.sendall(data[sent:])

    def memory(self, size):
        """The first descriptor that has come, mapped."""
        descriptor = self.received.pop(0)
        try:
            assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & ALL_SEALS == ALL_SEALS
            return mmap.mmap(descriptor, size, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)

    def _fill(self):
        data, descriptors, _, _ = socket.recv_fds(self.socket, 1 << 16, 4)
        self.received += descriptors
        if not data:
            raise frames.StreamClosed(bytes(self.buffer))
        self.buffer += data
