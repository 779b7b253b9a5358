"""Clients that misbehave on the data plane: each gets an error where one can be sent, and is closed; nobody else notices."""

import random
import select
import time
import unittest

import harness
import processes
from control import connect, eventually
from frames import StreamClosed, UPGRADE, envelope, read_to_end, stream_pb2
from test_streams import StreamTest


class Misbehaviour(StreamTest):
    def setUp(self):
        super().setUp()
        self.neighbour = self.stream()

    def tearDown(self):
        self.neighbour.submit(99, function="add", args=[20, 22], pool="math")
        self.assertEqual(self.neighbour.result().result.outcome.value.number_value, 42)

    def assertClosedWithError(self, stream, *codes, seconds=20):
        stream.socket.settimeout(seconds * harness.PATIENCE)
        frame, _ = stream.receive_until("error")
        self.assertIn(frame.error.code, codes or ("invalid_argument",), frame)
        self.assertTrue(frame.error.message)
        with self.assertRaises(StreamClosed):
            stream.receive()

    def test_frame_of_two_to_the_31_bytes(self):
        stream = self.stream()
        before = processes.resident_kib(self.here.engine().pid)
        stream.send_raw(b"\0" + (1 << 31).to_bytes(4, "big") + b"x" * 1000)
        self.assertClosedWithError(stream, "resource_exhausted", "invalid_argument")
        self.assertLess(processes.resident_kib(self.here.engine().pid) - before, 10_000 * harness.PATIENCE)

    def test_unknown_flag(self):
        stream = self.stream()
        stream.send_raw(b"\x80\0\0\0\1x")
        self.assertClosedWithError(stream)

    def test_garbage_in_an_envelope(self):
        stream = self.stream()
        stream.send_raw(envelope(b"\xff" * 50))
        self.assertClosedWithError(stream)

    def test_random_bytes(self):
        rng = random.Random(2)
        for _ in range(30):
            stream = self.stream()
            try:
                stream.send_raw(rng.randbytes(3000))
                stream.socket.shutdown(1)
            except (BrokenPipeError, ConnectionResetError, OSError):
                pass
            read_to_end(stream.socket, 20 * harness.PATIENCE)

    def test_text_that_is_not_utf8(self):
        stream = self.stream()
        frame = stream_pb2.ClientFrame()
        frame.submit.tag = 3
        frame.submit.task.name = "NAME"
        frame.submit.task.command.argv.append("true")
        stream.send_raw(envelope(frame.SerializeToString().replace(b"NAME", b"\xff\xfeME")))
        self.assertClosedWithError(stream)

    def test_frame_before_the_hello(self):
        stream = self.stream(hello=False)
        stream.submit(1, ["true"])
        self.assertClosedWithError(stream, "failed_precondition", "invalid_argument")

    def test_no_version_in_common(self):
        stream = self.stream(hello=False)
        frame = stream_pb2.ClientFrame()
        frame.hello.versions.append(77)
        stream.send(frame)
        stream.socket.settimeout(20)
        _, before = stream.receive_until("error")
        with self.assertRaises(StreamClosed):
            stream.receive()

    def test_empty_frame(self):
        stream = self.stream()
        stream.send_raw(envelope(b""))
        self.assertClosedWithError(stream)

    def test_client_that_leaves_in_the_middle_of_a_frame(self):
        stream = self.stream()
        stream.send_raw(b"\0\0\0\1\0half")
        stream.close()

    def test_upgrade_to_something_else(self):
        for upgrade in (b"websocket", b"poold-frames/9"):
            with connect(self.here.socket) as connection:
                connection.sendall(UPGRADE.replace(b"poold-frames/1", upgrade).replace(b"Connection: Upgrade", b"Connection: Upgrade, close"))
                connection.settimeout(5)
                self.assertRegex(connection.recv(100), rb"^HTTP/1.1 4")

    def never_reading(self, function, size, count):
        """Submits so many calls with large results without ever reading one; returns the stream."""
        plugin = str(harness.LIBRARY / "libpoold_witness.so")
        self.here.configure({"math": harness.FUNCTIONS, "large": {**harness.FUNCTIONS, "plugin": plugin}})
        self.control.call("Daemon/Reload")
        stream = self.stream()
        stream.socket.settimeout(2 * harness.PATIENCE)
        before = processes.resident_kib(self.here.engine().pid)
        try:
            for tag in range(1, count + 1):
                argument = "x" * size if function == "echo" else size
                stream.submit(tag, function=function, args=[argument], pool="math" if function == "echo" else "large")
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass  # closed, or nothing more is read from it
        eventually(lambda: self.control.pool("large")["running"] + self.control.pool("math")["running"] == 0, 60, "all is done")
        self.assertLess(processes.resident_kib(self.here.engine().pid) - before, 200_000 * harness.PATIENCE)
        return stream

    def test_client_that_never_reads_is_closed_when_its_buffer_is_full(self):
        stream = self.never_reading("large", 1_000_000, 300)
        eventually(lambda: _hung_up(stream.socket), 20 * harness.PATIENCE, "the daemon closes it")

    def test_client_that_sends_faster_than_it_reads_is_held_back(self):
        stream = self.never_reading("echo", 1_000_000, 1000)
        self.assertFalse(_hung_up(stream.socket))
        stream.socket.settimeout(20 * harness.PATIENCE)
        self.assertEqual(len(stream.receive().result.outcome.value.string_value), 1_000_000)

    def test_half_a_frame_is_closed_after_thirty_seconds(self):
        stream, patient = self.stream(), self.stream()
        stream.send_raw(b"\0\0\0\1\0half")
        begin = time.monotonic()
        self.assertClosedWithError(stream, "deadline_exceeded", seconds=45)
        self.assertGreater(time.monotonic() - begin, 25)
        patient.submit(1, function="noop", pool="math")  # one that is between frames may be silent for as long as it likes
        self.assertEqual(patient.result().result.tag, 1)


def _hung_up(connection):
    """The peer has closed, whatever lies unread."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP | select.POLLHUP)
    return any(events & (select.POLLHUP | select.POLLERR | select.POLLRDHUP) for _, events in poll.poll(0))


if __name__ == "__main__":
    unittest.main(verbosity=2)
