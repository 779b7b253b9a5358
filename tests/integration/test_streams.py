"""The data plane: what a client sees on a stream, and what happens to one that misbehaves."""

import os
import random
import time
import unittest

import harness
import processes
from control import connect, eventually
from frames import Stream, StreamClosed, UPGRADE, envelope, outcome_name, read_to_end, stream_pb2


class StreamTest(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": harness.COMMANDS, "math": harness.FUNCTIONS}).wait_ready()
        self.control = self.here.client()

    def stream(self, **options):
        stream = Stream(self.here.socket, timeout=60 * harness.PATIENCE, **options)
        self.addCleanup(stream.close)
        return stream


class Tasks(StreamTest):
    def test_function_returns(self):
        stream = self.stream()
        stream.submit(7, function="add", args=[1, 2], pool="math")
        result = stream.receive().result
        self.assertEqual((result.tag, result.attempt, outcome_name(result.outcome)), (7, 1, "RETURNED"))
        self.assertEqual(result.outcome.value.number_value, 3)

    def test_only_what_was_asked_for_is_sent(self):
        stream = self.stream()
        stream.submit(1, ["echo", "x"])
        self.assertEqual(stream.receive().WhichOneof("frame"), "result")

    def test_accepted_started_output_result(self):
        stream = self.stream()
        stream.submit(1, ["sh", "-c", "echo one; echo two >&2; exit 3"], want_accepted=True, want_started=True, want_output=True)
        last, before = stream.receive_until("result")
        kinds = [frame.WhichOneof("frame") for frame in before]
        self.assertEqual(kinds[:2], ["accepted", "started"])
        self.assertEqual(set(kinds[2:]), {"output"})
        out = {1: b"", 2: b""}
        for frame in before[2:]:
            out[frame.output.chunk.stream] += frame.output.chunk.data
        self.assertEqual(out, {1: b"one\n", 2: b"two\n"})
        self.assertEqual((outcome_name(last.result.outcome), last.result.outcome.exit_code), ("EXITED", 3))
        task_id = before[0].accepted.id
        self.assertEqual(self.control.task(task_id)["state"], "FAILED")
        self.assertIn(before[1].started.placement.pid, [w["pid"] for w in self.control.workers("default")])

    def test_ten_thousand_functions_in_flight(self):
        stream = self.stream()
        for tag in range(1, 10_001):
            stream.submit(tag, function="add", args=[tag, 1], pool="math")
        seen = {}
        while len(seen) < 10_000:
            result = stream.receive().result
            self.assertNotIn(result.tag, seen)
            seen[result.tag] = result.outcome.value.number_value
        self.assertEqual(seen, {tag: tag + 1 for tag in range(1, 10_001)})

    def test_refusals_carry_the_tag(self):
        stream = self.stream()
        stream.submit(1, ["true"], pool="nowhere")
        rejected = stream.receive().rejected
        self.assertEqual((rejected.tag, rejected.code), (1, "not_found"))
        stream.submit(2, ["true"], name="x" * 256)
        rejected = stream.receive().rejected
        self.assertEqual((rejected.tag, rejected.code), (2, "invalid_argument"))
        self.assertIn("name", rejected.message)
        stream.submit(3, ["true"])
        self.assertEqual(stream.receive().result.tag, 3)

    def test_cancel_by_tag(self):
        stream = self.stream()
        stream.submit(1, ["sleep", "100"], want_started=True)
        stream.receive_until("started")
        stream.cancel(1)
        self.assertEqual(outcome_name(stream.result().result.outcome), "CANCELLED")

    def test_signal_by_tag(self):
        stream = self.stream()
        stream.submit(1, ["sleep", "100"], want_started=True)
        stream.receive_until("started")
        eventually(lambda: any(p.name == "sleep" for p in processes.descendants(self.here.pid)), what="it sleeps")
        frame = stream_pb2.ClientFrame()
        frame.signal.tag, frame.signal.signal = 1, 10
        stream.send(frame)
        result = stream.result().result
        self.assertEqual((outcome_name(result.outcome), result.outcome.signal), ("SIGNALED", 10))

    def test_cancel_on_close(self):
        stream = self.stream(cancel_on_close=True)
        stream.submit(1, ["sleep", "100"], want_accepted=True, want_started=True)
        task_id = stream.receive_until("accepted")[0].accepted.id
        stream.receive_until("started")
        stream.close()
        self.assertEnded(self.control.wait(task_id, timeout=20)[0], "CANCELLED")

    def test_kept_on_close(self):
        stream = self.stream()
        stream.submit(1, ["sleep", "0.3"], want_accepted=True, want_started=True)
        task_id = stream.receive_until("accepted")[0].accepted.id
        stream.receive_until("started")
        stream.close()
        self.assertEqual(self.control.wait(task_id)[0]["state"], "SUCCEEDED")

    def test_follow_a_task_of_somebody_else(self):
        task_id = self.control.submit(["sh", "-c", "echo early; sleep 0.3; echo late"])
        stream = self.stream()
        frame = stream_pb2.ClientFrame()
        frame.follow.tag, frame.follow.id, frame.follow.want_output = 5, task_id, True
        stream.send(frame)
        last, before = stream.receive_until("result")
        self.assertEqual(b"".join(f.output.chunk.data for f in before), b"early\nlate\n")
        self.assertEqual((last.result.tag, outcome_name(last.result.outcome)), (5, "EXITED"))

    def test_follow_from_an_offset_and_after_the_end(self):
        task_id = self.control.run(["printf", "0123456789"])["id"]
        first = self.control.call("Tasks/Logs", {"id": task_id, "limit": 4})
        stream = self.stream()
        frame = stream_pb2.ClientFrame()
        frame.follow.tag, frame.follow.id, frame.follow.want_output = 5, task_id, True
        frame.follow.attempt, frame.follow.offset = 1, int(first["nextOffset"])
        stream.send(frame)
        _, before = stream.receive_until("result")
        import base64

        head = b"".join(base64.b64decode(c["data"]) for c in first["chunks"])
        self.assertEqual(head + b"".join(f.output.chunk.data for f in before), b"0123456789")

    def test_follow_of_an_unknown_id(self):
        stream = self.stream()
        frame = stream_pb2.ClientFrame()
        frame.follow.tag, frame.follow.id = 1, "nonsense"
        stream.send(frame)
        self.assertEqual(stream.receive().rejected.code, "not_found")

    def test_tag_that_is_in_use(self):
        stream = self.stream()
        stream.submit(1, ["sleep", "100"], want_started=True)
        stream.receive_until("started")
        stream.submit(1, ["true"])
        frame = stream.receive()
        self.assertIn(frame.WhichOneof("frame"), ("rejected", "error"), frame)

    def test_frames_arrive_in_any_pieces(self):
        stream = self.stream()
        frame = stream_pb2.ClientFrame()
        frame.submit.task.pool = "math"
        frame.submit.task.function.name = "noop"
        data = b""
        for tag in range(1, 101):
            frame.submit.tag = tag
            data += envelope(frame.SerializeToString())
        rng = random.Random(1)
        while data:
            size = rng.randint(1, 40)
            stream.send_raw(data[:size])
            data = data[size:]
        self.assertEqual({stream.receive().result.tag for _ in range(100)}, set(range(1, 101)))

    def test_large_payload(self):
        stream = self.stream()
        frame = stream_pb2.ClientFrame()
        frame.submit.tag = 1
        frame.submit.task.pool = "math"
        frame.submit.task.function.name = "echo"
        frame.submit.task.function.payload.content_type = "application/octet-stream"
        frame.submit.task.function.payload.data = os.urandom(15 << 20)
        stream.send(frame)
        self.assertEqual(stream.result().result.outcome.payload.data, frame.submit.task.function.payload.data)


class Misbehaviour(StreamTest):
    """A bad client gets an error where one can be sent, and is closed; nobody else notices."""

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
    import select

    poll = select.poll()
    poll.register(connection, select.POLLRDHUP | select.POLLHUP)
    return any(events & (select.POLLHUP | select.POLLERR | select.POLLRDHUP) for _, events in poll.poll(0))


if __name__ == "__main__":
    unittest.main(verbosity=2)
