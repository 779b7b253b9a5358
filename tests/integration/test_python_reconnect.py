"""The engine or the whole daemon dies under Python programs, and they go on: calls are made again where that is safe, streams find their tasks.

Nothing here waits for a time: kills happen at known moments, while the engine is stopped, or behind a relay that loses what it is told to lose.
"""

import collections
import os
import select
import signal
import socket
import threading
import unittest
from unittest import mock

import harness
import processes
from control import eventually
from python_pool import Fifo, python_pool

import poold
from poold import _outage, errors

POOLS = {
    "default": {**harness.COMMANDS, "durability": "disk"},
    "memory": {**harness.COMMANDS, "durability": "memory"},
    "py": python_pool(workers=2, durability="disk"),
}
ENGINE_KILLS = int(os.environ.get("POOLD_ENGINE_KILLS", 5))
# Longer than any test: what ends at once has not waited for it.
FOR_EVER_S = 100_000


class Relay:
    """Stands between a client and the daemon, at a socket of its own. plan: what becomes of each connection in turn; the last entry of all others."""

    PASS, REFUSE_ANSWER, SILENT = "pass", "the request is read, and the connection closed", "what the daemon says is lost, but for its hello"

    def __init__(self, test, *plan):
        self.here = test.here
        self.path = str(test.here.directory / "relay.sock")
        self.plan = list(plan)
        self.requests = []
        self.sockets = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()
        test.addCleanup(self.close)

    def close(self):
        self.listener.close()
        self.cut()

    def cut(self):
        """Breaks all connections that are there."""
        for one in self.sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            plan = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
            threading.Thread(target=self.relay, args=(client, plan), daemon=True).start()

    def relay(self, client, plan):
        if plan == self.REFUSE_ANSWER:
            with client:
                self.requests.append(client.recv(1 << 20))
            return
        daemon = socket.socket(socket.AF_UNIX)
        daemon.connect(self.here.socket)
        self.sockets += [client, daemon]
        heard = b""
        with client, daemon:
            while True:
                for source in select.select([client, daemon], [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is client:
                        self.requests.append(data)
                        daemon.sendall(data)
                    elif plan == self.PASS:
                        client.sendall(data)
                    else:
                        before = self.until_hello(heard)
                        heard += data
                        client.sendall(heard[len(before) : len(self.until_hello(heard))])

    @staticmethod
    def until_hello(heard):
        """As much of it as is the answer to the upgrade, and the first frame; nothing of another answer."""
        head, end, frames = heard.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"[: len(head)]):
            return b""
        return head + end + frames[: 5 + int.from_bytes(frames[1:5], "big")] if len(frames) >= 5 else head + end


class ReconnectTest(harness.DaemonTest):
    pools = POOLS

    def setUp(self):
        self.here = self.daemon(self.pools).wait_ready()
        self.client = poold.Client(self.here.socket)
        self.addCleanup(self.client.close)
        self.witness = self.here.directory / "witness"

    def kill_engine(self):
        engine = self.here.engine()
        processes.kill_exactly(engine)
        eventually(lambda: (e := self.here.engine()) and e.pid != engine.pid, 20 * harness.PATIENCE, "another engine")

    def kill_supervisor(self):
        """Dead, with its engine."""
        engine = self.here.engine()
        self.here.kill()
        self.assertEqual(processes.wait_gone([engine.pid], 20 * harness.PATIENCE), [], "the engine goes with it")

    def end_after_restart(self, task):
        """What a dead supervisor has left running."""
        self.here.start()
        self.client.cancel(task)
        self.client.wait(task)

    def stop_engine(self):
        """It takes nothing more, and is killed next: what is sent now is lost."""
        engine = self.here.engine()
        processes.kill_exactly(engine, signal.SIGSTOP)
        eventually(lambda: processes.look(engine.pid).state == "T", what="the engine stands still")

    def open_stream(self, **options):
        stream = poold.Client(options.pop("socket", self.here.socket), **options).stream()
        self.addCleanup(stream.close, 20)
        return stream

    def disconnected(self, stream):
        eventually(lambda: stream._away, 20 * harness.PATIENCE, "the stream knows that its connection has broken")

    def in_thread(self, function, *arguments):
        """Its result, when asked for."""
        results = []

        def run():
            try:
                results.append((function(*arguments), None))
            except BaseException as error:
                results.append((None, error))

        thread = threading.Thread(target=run)
        thread.start()

        def join():
            thread.join(60 * harness.PATIENCE)
            self.assertFalse(thread.is_alive(), "it has ended")
            value, error = results[0]
            if error is not None:
                raise error
            return value

        return join

    def first_pause(self):
        """An event: somebody has found the daemon gone, and is about to try again."""
        paused = threading.Event()
        pause = _outage.Outage.next_pause_s

        def noticed(outage):
            paused.set()
            return pause(outage)

        patch = mock.patch.object(_outage.Outage, "next_pause_s", noticed)
        patch.start()
        self.addCleanup(patch.stop)
        return paused

    def ran(self):
        """How often each was written down."""
        return collections.Counter(tuple(line.split()[:2]) for line in self.witness.read_text().splitlines()) if self.witness.exists() else {}

    def gated(self, tag):
        """Arguments for a function that waits at a gate, once in a life."""
        os.mkfifo(self.here.directory / f"gate.{tag}")
        return "witness", str(self.here.directory), tag

    def open_gate(self, tag):
        (self.here.directory / f"gate.{tag}").write_text("go\n", encoding="ascii")

    def wait_started(self, count):
        eventually(lambda: sum(n for (what, _), n in dict(self.ran()).items() if what == "S") == count, 20 * harness.PATIENCE, f"{count} have started")

    def wait_attempt(self, number):
        """Of the only task."""
        attempt = lambda: [(task.state.value, task.attempt) for task in self.client.list()]
        eventually(lambda: attempt() == [("RUNNING", number)], 20 * harness.PATIENCE, f"attempt {number}")

    def counting(self, gates):
        """A command that prints ten numbers, waits at a gate, and so on; and what it prints."""
        script, number = "", 0
        for gate in [*gates, None]:
            script += "".join(f"echo {number + i}; " for i in range(10))
            number += 10
            script += f"read x < {gate.path}; " if gate else "exit 0"
        return ["sh", "-c", script], "".join(f"{i}\n" for i in range(number))


class Streams(ReconnectTest):
    def test_a_thousand_tasks_with_keys_over_five_engines(self):
        each = 1000 // ENGINE_KILLS
        stream = self.open_stream()
        futures = []
        for number in range(ENGINE_KILLS):
            futures += [stream.submit("noted", str(self.here.directory), n, pool="py", key=f"k{n}") for n in range(number * each, (number + 1) * each)]
            futures[number * each + each // 10].result(60 * harness.PATIENCE)  # in the midst of it
            self.kill_engine()
        self.assertEqual([future.result(100 * harness.PATIENCE) for future in futures], [n * 7 + 1 for n in range(len(futures))])
        self.assertEqual(self.ran(), {("R", str(n)): 1 for n in range(len(futures))})
        self.assertEqual({future.attempt for future in futures}, {1})
        self.assertEqual((stream.pending, stream._kept), (0, {}))

    def test_tasks_whose_ids_are_known_are_followed(self):
        stream = self.open_stream()
        futures = [stream.submit(*self.gated(tag), pool="py", want_id=True) for tag in range(4)]
        eventually(lambda: all(future.id for future in futures), 20 * harness.PATIENCE, "all are accepted")
        for tag in range(4):
            self.wait_started(min(tag + 2, 4))
            self.kill_engine()
            self.open_gate(tag)
            self.assertEqual(futures[tag].result(60 * harness.PATIENCE), tag * 7 + 1)
        self.assertEqual(set(self.ran().values()), {1})

    def test_tasks_are_found_when_the_whole_daemon_has_died(self):
        stream = self.open_stream()
        futures = [stream.submit(*self.gated(tag), pool="py", want_id=tag < 2, key="" if tag < 2 else f"k{tag}") for tag in range(4)]
        eventually(lambda: all(future.id for future in futures), 20 * harness.PATIENCE, "all are accepted")
        self.wait_started(2)
        self.kill_supervisor()
        self.open_gate(0)  # ends while there is nobody
        self.here.start()
        for tag in (1, 2, 3):
            self.open_gate(tag)
        self.assertEqual([future.result(60 * harness.PATIENCE) for future in futures], [tag * 7 + 1 for tag in range(4)])
        self.assertEqual(set(self.ran().values()), {1})

    def test_tasks_are_found_when_the_daemon_was_stopped_and_started(self):
        stream = self.open_stream()
        future = stream.submit(*self.gated(0), pool="py", want_id=True)
        self.wait_started(1)
        self.assertEqual(self.here.stop(), 0)
        self.here.start()
        self.open_gate(0)
        self.assertEqual(future.result(60 * harness.PATIENCE), 1)

    def test_key_that_the_engine_had_not_read(self):
        stream = self.open_stream()
        self.stop_engine()
        future = stream.submit("noted", str(self.here.directory), 1, pool="py", key="k")
        self.assertEqual(stream._unsent, 0)
        self.kill_engine()
        self.assertEqual(future.result(60 * harness.PATIENCE), 8)
        self.assertEqual(self.ran(), {("R", "1"): 1})

    def test_key_whose_acceptance_was_lost_brings_all_output_of_all_attempts(self):
        relay = Relay(self, Relay.SILENT, Relay.PASS)
        stream = self.open_stream(socket=relay.path)
        seen, starts, gate = [], [], Fifo(self.here, "gate")
        script = f"echo out $$; read x < {gate.path}; exit $x"
        future = stream.submit(["sh", "-c", script], key="k", attempts=2, on_output=seen.append, on_started=lambda attempt, _: starts.append(attempt))
        gate.write("1\n")
        self.wait_attempt(2)
        self.assertEqual(future.id, "")
        relay.cut()
        eventually(lambda: len(seen) == 2, 20 * harness.PATIENCE, "the output of both")
        gate.write("0\n")
        self.assertEqual((future.result(60 * harness.PATIENCE), future.attempt), (0, 2))
        stream.close()  # what came with the result is told right after it
        self.assertEqual([chunk.attempt for chunk in seen], [1, 2])
        self.assertEqual(starts, [2])  # the first was over before anybody could tell

    def test_output_goes_on_where_it_was(self):
        gates = [Fifo(self.here, f"gate{number}") for number in range(3)]
        argv, expected = self.counting(gates)
        seen, starts = [], []
        stream = self.open_stream()
        future = stream.submit(argv, on_output=seen.append, on_started=lambda attempt, place: starts.append((attempt, place.pid)))
        for number, gate in enumerate(gates):
            eventually(lambda: b"".join(chunk.data for chunk in seen).count(b"\n") == 10 * (number + 1), 20 * harness.PATIENCE, "its output")
            self.kill_engine()
            gate.write("go\n")
        self.assertEqual(future.result(60 * harness.PATIENCE), 0)
        stream.close()  # what came with the result is told right after it
        self.assertEqual(b"".join(chunk.data for chunk in seen).decode(), expected)
        offsets = [chunk.next_offset for chunk in seen]
        self.assertEqual(offsets, sorted(set(offsets)))
        self.assertEqual(len(starts), 1, "a start is told once")

    def test_output_of_an_attempt_that_began_and_ended_while_nobody_listened(self):
        relay = Relay(self, Relay.SILENT, Relay.PASS)
        gate = Fifo(self.here, "gate")
        seen = []
        stream = self.open_stream(socket=relay.path)
        relay.plan[:] = [Relay.PASS]
        future = stream.submit(["sh", "-c", f"echo once; read x < {gate.path}; exit $x"], attempts=3, key="k", on_output=seen.append)
        for attempt, code in enumerate(("1\n", "1\n", "0\n"), 1):
            self.wait_attempt(attempt)
            gate.write(code)
        self.client.wait(next(self.client.list()).id)
        relay.cut()
        self.assertEqual(future.result(60 * harness.PATIENCE), 0)
        stream.close()  # what came with the result is told right after it
        self.assertEqual([(chunk.attempt, chunk.data) for chunk in seen], [(n, b"once\n") for n in (1, 2, 3)])

    def test_what_cannot_be_found_fails_and_says_what_would_help(self):
        stream = self.open_stream()
        failed = []
        futures = [stream.submit(*self.gated(tag), pool="py") for tag in range(3)]
        futures[0].add_done_callback(failed.append)
        self.wait_started(2)
        self.kill_engine()
        for future in futures:
            with self.assertRaisesRegex(errors.ConnectionLost, r"want_id=True.* or with a key"):
                future.result(60 * harness.PATIENCE)
        self.assertEqual(failed, futures[:1])
        for tag in range(3):
            self.open_gate(tag)
        self.assertEqual(stream.submit("add", 1, 2, pool="py").result(60 * harness.PATIENCE), 3)  # the stream itself goes on

    def test_id_that_had_not_come_when_the_engine_died(self):
        stream = self.open_stream()
        self.stop_engine()
        future = stream.submit(["true"], want_id=True)
        self.kill_engine()
        with self.assertRaisesRegex(errors.ConnectionLost, "before the task was accepted.* without a key"):
            future.result(60 * harness.PATIENCE)

    def test_task_of_a_pool_in_memory_is_told_as_lost(self):
        stream = self.open_stream()
        future = stream.submit(["sleep", "600"], pool="memory", want_id=True)
        eventually(lambda: future.id, 20 * harness.PATIENCE, "it is accepted")
        self.kill_engine()
        with self.assertRaisesRegex(errors.ConnectionLost, f"{future.id} is lost: .* durability: memory"):
            future.result(60 * harness.PATIENCE)

    def test_submissions_without_a_connection_are_sent_on_the_next_one(self):
        stream = self.open_stream()
        self.kill_supervisor()
        self.disconnected(stream)
        futures = [stream.submit("noted", str(self.here.directory), n, pool="py", **({"key": f"k{n}"} if n % 2 else {})) for n in range(100)]
        self.here.start()
        self.assertEqual([future.result(60 * harness.PATIENCE) for future in futures], [n * 7 + 1 for n in range(100)])
        self.assertEqual(self.ran(), {("R", str(n)): 1 for n in range(100)})

    def test_what_had_not_left_the_process_is_sent_and_leaves_no_descriptors(self):
        before = len(os.listdir("/proc/self/fd"))
        stream = self.client.stream()
        stream.submit("add", 1, pool="py").result()
        self.stop_engine()
        sizes, futures = [], []
        while stream._unsent < 2_000_000:
            sizes.append(300_000 if len(sizes) % 3 == 2 else 100_000)  # some travel in shared memory
            futures.append(stream.submit("echo", b"%07d" % len(futures) + bytes(sizes[-1] - 7), pool="py"))
        self.kill_engine()
        lost = [future for future in futures if future.exception(100 * harness.PATIENCE) is not None]
        self.assertEqual({type(future.exception()) for future in lost}, {errors.ConnectionLost})
        self.assertEqual(lost, futures[: len(lost)], "what was sent first is what was lost")
        self.assertLess(len(lost), len(futures))
        for number in range(len(lost), len(futures)):
            result = futures[number].result()
            self.assertEqual((result[:7], len(result)), (b"%07d" % number, sizes[number]))
        stream.close()
        self.client.close()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_cancel_that_the_engine_had_not_read(self):
        stream = self.open_stream()
        future = stream.submit(["sleep", "600"], want_id=True)
        eventually(lambda: future.id, 20 * harness.PATIENCE, "it is accepted")
        self.stop_engine()
        self.assertTrue(future.cancel())
        self.kill_engine()
        with self.assertRaises(errors.TaskCancelled):
            future.result(60 * harness.PATIENCE)

    def test_cancel_without_a_connection(self):
        stream = self.open_stream()
        futures = [stream.submit(["sleep", "600"], want_id=True), stream.submit(["sleep", "600"], key="k")]
        eventually(lambda: all(future.id for future in futures), 20 * harness.PATIENCE, "both are accepted")
        self.kill_supervisor()
        self.disconnected(stream)
        for future in futures:
            self.assertTrue(future.cancel())
        self.here.start()
        for future in futures:
            with self.assertRaises(errors.TaskCancelled):
                future.result(60 * harness.PATIENCE)

    def test_tasks_of_a_stream_that_cancels_end_with_it_after_an_engine_died(self):
        stream = self.client.stream(cancel_on_close=True)
        future = stream.submit(["sleep", "600"], want_id=True)
        eventually(lambda: future.id, 20 * harness.PATIENCE, "it is accepted")
        self.kill_engine()
        eventually(lambda: stream._connection is not None and not stream._away, 20 * harness.PATIENCE)
        self.assertEqual(stream.submit(["true"], key="k").result(60 * harness.PATIENCE), 0)  # so it follows its task again
        stream.close()
        self.assertEqual(self.client.wait(future.id).state, poold.State.CANCELLED)

    def test_close_without_a_connection_ends_at_once(self):
        stream = poold.Client(self.here.socket, reconnect=FOR_EVER_S).stream()
        future = stream.submit(["sleep", "600"], want_id=True)
        eventually(lambda: future.id, 20 * harness.PATIENCE, "it is accepted")
        self.kill_supervisor()
        self.disconnected(stream)
        stream.close()
        with self.assertRaisesRegex(errors.ConnectionLost, "the stream was closed"):
            future.result(0)
        self.end_after_restart(future.id)

    def test_close_while_the_next_engine_does_not_answer_ends_at_once(self):
        """The supervisor takes the connection, and no engine reads it."""
        silent = str(self.here.directory / "silent.sock")
        relay = Relay(self, Relay.PASS)
        stream = poold.Client(relay.path, reconnect=FOR_EVER_S).stream()
        future = stream.submit(["sleep", "600"], want_id=True)
        eventually(lambda: future.id, 20 * harness.PATIENCE, "it is accepted")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(silent)
            listener.listen()
            os.replace(silent, relay.path)
            relay.cut()
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)  # the upgrade, which nobody answers
                stream.close()
        with self.assertRaisesRegex(errors.ConnectionLost, "the stream was closed"):
            future.result(0)
        self.client.cancel(future.id)

    def test_daemon_that_stays_away_for_too_long(self):
        stream = poold.Client(self.here.socket, reconnect=0.3).stream()
        future = stream.submit(["sleep", "600"], want_id=True)
        eventually(lambda: future.id, 20 * harness.PATIENCE, "it is accepted")
        self.kill_supervisor()
        self.disconnected(stream)
        later = stream.submit(["true"])
        for one in (future, later):
            with self.assertRaisesRegex(errors.ConnectionLost, "did not come back within 0.3 s: no daemon at .*nobody listens"):
                one.result(60 * harness.PATIENCE)
        with self.assertRaises(errors.ConnectionLost):
            stream.submit(["true"])
        stream.close()
        self.end_after_restart(future.id)

    def test_connections_that_only_break_are_not_made_for_ever(self):
        relay = Relay(self, Relay.PASS, Relay.REFUSE_ANSWER)
        stream = poold.Client(relay.path, reconnect=0.3).stream()
        stream.submit(["true"]).result()
        future = stream.submit(["sleep", "600"], want_id=True)
        eventually(lambda: future.id, 20 * harness.PATIENCE, "it is accepted")
        requests = len(relay.requests)
        relay.cut()
        with self.assertRaisesRegex(errors.ConnectionLost, "did not come back within 0.3 s"):
            future.result(60 * harness.PATIENCE)
        self.assertLess(len(relay.requests) - requests, 12)
        stream.close()
        self.client.cancel(future.id)


class Calls(ReconnectTest):
    def test_wait_over_the_death_and_restart_of_the_whole_daemon(self):
        task = self.client.submit(*self.gated(1), pool="py")
        self.wait_started(1)
        paused = self.first_pause()
        waited = self.in_thread(self.client.wait, task)
        eventually(lambda: self.client._known, what="it has been answered")
        self.kill_supervisor()
        self.assertTrue(paused.wait(20 * harness.PATIENCE))
        self.here.start()
        self.open_gate(1)
        self.assertEqual(waited().result(), 8)
        self.assertEqual(set(self.ran().values()), {1})

    def test_wait_over_engines(self):
        task = self.client.submit(*self.gated(1), pool="py")
        self.wait_started(1)
        waited = self.in_thread(self.client.result, task)
        for _ in range(3):
            self.kill_engine()
            self.assertFalse(self.client.wait(task, timeout=0).state.ended)
        self.open_gate(1)
        self.assertEqual(waited(), 8)

    def test_wait_for_a_task_that_the_next_engine_does_not_know(self):
        relay = Relay(self, Relay.PASS)
        client = poold.Client(relay.path)
        task = client.submit(["sleep", "600"], pool="memory")
        requests = len(relay.requests)
        waited = self.in_thread(client.wait, task)
        eventually(lambda: len(relay.requests) > requests, 20 * harness.PATIENCE, "it is asked")
        self.kill_engine()
        with self.assertRaisesRegex(errors.NotFound, "durability: memory"):
            waited()
        client.close()

    def test_submission_without_a_key_that_was_sent_is_not_made_twice(self):
        relay = Relay(self, Relay.PASS, Relay.REFUSE_ANSWER, Relay.PASS)
        client = poold.Client(relay.path)
        client.info()
        client.close()  # so that the next call connects
        with self.assertRaisesRegex(errors.ConnectionLost, "whether the task was accepted is not known, and without a key .* again safely") as caught:
            client.submit(["true"])
        self.assertIsNone(caught.exception.arrived)
        self.assertEqual(sum(b"Tasks/Submit" in request for request in relay.requests), 1)
        self.assertEqual(client.call(["true"]), 0)
        client.close()

    def test_submission_with_a_key_is_made_again(self):
        relay = Relay(self, Relay.REFUSE_ANSWER, Relay.REFUSE_ANSWER, Relay.PASS)
        client = poold.Client(relay.path)
        self.assertEqual(client.call("add", 1, 2, pool="py", key="k"), 3)
        keyed = [poold.TaskSpec(["true"], key=f"k{n}") for n in range(3)]
        client.close()
        relay.plan[:] = [Relay.REFUSE_ANSWER, Relay.PASS]
        self.assertEqual([task.duplicate for task in client.submit_batch(keyed)], [False] * 3)
        client.close()
        relay.plan[:] = [Relay.REFUSE_ANSWER, Relay.PASS]
        with self.assertRaisesRegex(errors.ConnectionLost, "unless each has a key"):
            client.submit_batch([*keyed, ["true"]])
        client.close()

    def test_key_that_was_accepted_before_the_connection_broke(self):
        relay = Relay(self, Relay.SILENT, Relay.PASS)
        client = poold.Client(relay.path)
        submitted = self.in_thread(lambda: client.submit("noted", str(self.here.directory), 1, pool="py", key="k"))
        eventually(lambda: list(self.client.list(states="SUCCEEDED")), 20 * harness.PATIENCE, "it has run")
        relay.cut()
        task = submitted()
        self.assertEqual((self.client.result(task), task.duplicate), (8, True))
        self.assertEqual(self.ran(), {("R", "1"): 1})
        client.close()

    def test_calls_that_change_more_when_made_twice_are_not(self):
        relay = Relay(self, Relay.REFUSE_ANSWER, Relay.PASS)
        client = poold.Client(relay.path)
        for call in (lambda: client.cancel_where(pools="py"), lambda: client.recycle("py"), lambda: client.signal("x", 1)):
            relay.plan[:] = [Relay.REFUSE_ANSWER, Relay.PASS]
            with self.assertRaisesRegex(errors.ConnectionLost, "was done is not known"):
                call()
        for call in (lambda: client.pause("py"), lambda: client.resume("py"), lambda: client.pools(), lambda: list(client.list())):
            client.close()
            relay.plan[:] = [Relay.REFUSE_ANSWER, Relay.PASS]
            call()
        client.close()

    def test_call_while_nobody_listens_is_made_when_somebody_does(self):
        self.client.info()
        self.kill_supervisor()
        paused = self.first_pause()
        called = self.in_thread(self.client.call, ["true"])  # without a key: it was never sent
        self.assertTrue(paused.wait(20 * harness.PATIENCE))
        self.here.start()
        self.assertEqual(called(), 0)

    def test_stream_is_opened_when_somebody_listens(self):
        self.client.info()
        self.kill_supervisor()
        paused = self.first_pause()
        opened = self.in_thread(self.client.stream)
        self.assertTrue(paused.wait(20 * harness.PATIENCE))
        self.here.start()
        with opened() as stream:
            self.assertEqual(stream.submit(["true"]).result(), 0)

    def test_daemon_that_stays_away_for_too_long(self):
        client = poold.Client(self.here.socket, reconnect=0.3)
        client.info()
        self.kill_supervisor()
        with self.assertRaisesRegex(errors.Unavailable, r"nobody listens.*\(tried again for 0.3 s\)"):
            client.submit(["true"])

    def test_nothing_is_repeated_where_nobody_wants_it_or_where_no_daemon_ever_was(self):
        paused = self.first_pause()
        client = poold.Client(self.here.socket, reconnect=0)
        client.info()
        self.kill_supervisor()
        for call in (client.info, client.stream, poold.Client(self.here.socket).info, poold.Client(self.here.socket).stream):
            with self.assertRaisesRegex(errors.Unavailable, "nobody listens"):
                call()
        self.assertFalse(paused.is_set())
        with self.assertRaisesRegex(ValueError, "reconnect"):
            poold.Client(reconnect=-1)

    def test_logs_are_followed_over_engines(self):
        gates = [Fifo(self.here, f"gate{number}") for number in range(3)]
        argv, expected = self.counting(gates)
        task = self.client.submit(argv)
        seen = b""
        logs = self.client.logs(task, follow=True)
        for number, gate in enumerate(gates):
            while seen.count(b"\n") < 10 * (number + 1):
                seen += next(logs).data
            self.kill_engine()
            gate.write("go\n")
        seen += b"".join(chunk.data for chunk in logs)
        self.assertEqual(seen.decode(), expected)


if __name__ == "__main__":
    unittest.main(verbosity=2)
