"""The data plane: what a client sees on a stream."""

import base64
import os
import random
import unittest

import harness
import processes
from control import eventually
from frames import Stream, envelope, outcome_name, stream_pb2


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

    def test_a_time_limit_is_what_ended_it_whatever_the_worker_says(self):
        stream = self.stream()
        stream.submit(1, ["sleep", "100"], timeout_ms=100)
        outcome = stream.result().result.outcome
        self.assertEqual((outcome_name(outcome), outcome.signal), ("TIMED_OUT", 15))
        stream.submit(2, ["sh", "-c", "trap 'exit 0' TERM; sleep 100 & wait"], timeout_ms=100)
        self.assertEqual(outcome_name(stream.result().result.outcome), "TIMED_OUT")
        stream.submit(3, function="sleep_ms", args=[60_000], pool="math", timeout_ms=100)
        self.assertEqual(outcome_name(stream.result().result.outcome), "TIMED_OUT")

    def test_cancel_that_follows_a_submission_with_a_key_at_once(self):
        here = self.daemon({"default": {**harness.COMMANDS, "durability": "disk"}}).wait_ready()
        for tag in (1, 2):  # the second finds the first one's task
            stream = Stream(here.socket, timeout=60 * harness.PATIENCE)
            self.addCleanup(stream.close)
            stream.submit(tag, ["sleep", "100"], key="k")
            if tag == 2:
                stream.cancel(tag)
                self.assertEqual(outcome_name(stream.result().result.outcome), "CANCELLED")
        stream.submit(3, ["sleep", "100"], key="k3")
        stream.cancel(3)
        self.assertEqual(outcome_name(stream.result().result.outcome), "CANCELLED")

    def test_a_task_that_was_taken_over_by_its_key_ends_with_its_new_stream(self):
        first, second, third = (self.stream(cancel_on_close=True) for _ in range(3))
        first.submit(1, ["sleep", "100"], key="k", want_accepted=True)
        task_id = first.receive_until("accepted")[0].accepted.id
        second.submit(1, ["sleep", "100"], key="k", want_accepted=True)
        second.receive_until("accepted")
        second.close()  # which only looked at it
        third.submit(1, ["sleep", "100"], key="k", want_accepted=True, take_over=True)
        self.assertTrue(third.receive_until("accepted")[0].accepted.duplicate)
        self.assertIn(self.control.task(task_id)["state"], ("QUEUED", "RUNNING"))
        third.close()
        self.assertEnded(self.control.wait(task_id, timeout=20)[0], "CANCELLED")

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

    def test_a_stream_that_closes_cancels_nobody_elses_task(self):
        here = self.daemon({"default": harness.COMMANDS, "math": {**harness.FUNCTIONS, "durability": "disk"}}).wait_ready()
        patient = Stream(here.socket, timeout=60 * harness.PATIENCE)
        self.addCleanup(patient.close)
        last = tag = 0
        for number in range(100 if harness.SANITIZED else 400):
            hasty = Stream(here.socket, cancel_on_close=True)
            for own in range(1, 40):
                hasty.submit(own, function="noop", pool="math")
            hasty.receive()
            for _ in range(40):
                tag += 1
                patient.submit(tag, function="noop", pool="math")
            # Its tasks end just now: what they were in the table may be another's.
            hasty.close()
            while tag - last > 200:
                last += 1
                self.assertEqual(outcome_name(patient.receive().result.outcome), "RETURNED", number)
        while last < tag:
            last += 1
            self.assertEqual(outcome_name(patient.receive().result.outcome), "RETURNED")

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
