"""poold.Stream against a real daemon: thousands in flight, and what becomes of them when something breaks."""

import os
import signal
import subprocess
import threading
import unittest

import harness
import processes
from control import eventually
from python_pool import PACKAGE, PYTHON, Fifo, python_pool

import poold
from poold import errors


class StreamTest(harness.DaemonTest):
    pools = {"default": harness.COMMANDS, "py": python_pool(workers=2), "math": harness.FUNCTIONS}

    def setUp(self):
        self.here = self.daemon(self.pools).wait_ready()
        self.client = poold.Client(self.here.socket)
        self.addCleanup(self.client.close)


class Results(StreamTest):
    def test_thousands_in_flight_have_their_own_results(self):
        for pool in ("py", "math"):
            with self.client.stream() as stream:
                futures = [stream.submit("add", number, 0.5, pool=pool) for number in range(20_000)]
                self.assertEqual([future.result() for future in futures], [number + 0.5 for number in range(20_000)])
                self.assertEqual(stream.pending, 0)

    def test_values_of_every_kind(self):
        with self.client.stream() as stream:
            for value in (None, True, 0, -1.5, "ä" * 1000, [], [1, [2, {}]], {"a": {"b": None}}, b"", b"\xff" * 1_000_000, 2**53):
                self.assertEqual(stream.submit("echo", value, pool="py").result(), value)

    def test_endings_are_errors(self):
        with self.client.stream() as stream:
            cases = [
                (stream.submit("divide", 1, 0, pool="py"), errors.TaskRaised),
                (stream.submit("no_such", pool="py"), errors.TaskRejected),
                (stream.submit("exit_hard", 3, pool="py", crash_attempts=1), errors.WorkerLost),
                (stream.submit(["false"]), errors.TaskExited),
                (stream.submit(["true"], pool="nowhere"), errors.NotFound),
                (stream.submit("noop", pool="default"), errors.InvalidArgument),
            ]
            for future, error in cases:
                with self.assertRaises(error):
                    future.result()
                self.assertIsInstance(future.exception(), error)
                self.assertTrue(future.done())
            self.assertEqual(cases[3][0].outcome().exit_code, 1)
            self.assertEqual(stream.submit(["true"]).result(), 0)
            self.assertEqual(stream.submit("fail_until", str(self.here.directory / "calls"), 2, pool="py", attempts=3).result(), 2)

    def test_time_limit(self):
        with self.client.stream() as stream:
            self.assertIsInstance(stream.submit("finish_anyway", os.devnull, pool="py", timeout=0.1).exception(), errors.TaskTimedOut)
            self.assertIsInstance(stream.submit("clean_up", os.devnull, os.devnull, pool="py", timeout=0.1).exception(), errors.TaskTimedOut)
            self.assertIsInstance(stream.submit(["sleep", "100"], timeout=0.1).exception(), errors.TaskTimedOut)

    def test_attempt_and_id(self):
        with self.client.stream() as stream:
            future = stream.submit("fail_until", str(self.here.directory / "calls"), 3, pool="py", attempts=5, want_id=True)
            self.assertEqual((future.result(), future.attempt), (3, 3))
            self.assertEqual(self.client.get(future.id).attempt, 3)

    def test_start_of_each_attempt(self):
        starts = []
        for work in (["false"], poold.Function("divide", 1, 0)):
            pool = "py" if isinstance(work, poold.Function) else "default"
            with self.client.stream() as stream:
                future = stream.submit(work, pool=pool, attempts=3, on_started=lambda attempt, place: starts.append((attempt, place.pid)))
                self.assertIsNotNone(future.exception())
            pids = {worker.pid for worker in self.client.workers(pool)}
            self.assertEqual([attempt for attempt, _ in starts], [1, 2, 3])
            self.assertLessEqual({pid for _, pid in starts}, pids)
            starts.clear()

    def test_output_as_it_comes(self):
        release = Fifo(self.here, "release")
        seen, came = [], threading.Event()

        def on_output(chunk):
            seen.append((chunk.stream, chunk.data))
            came.set()

        with self.client.stream() as stream:
            future = stream.submit("print_and_wait", "here", release.path, pool="py", on_output=on_output)
            self.assertTrue(came.wait(20 * harness.PATIENCE))
            self.assertFalse(future.done())
            release.write("on")
            self.assertEqual(future.result(), "on")
        self.assertEqual(seen, [("stdout", b"here\n")])

    def test_map_keeps_order_and_bounds_what_is_in_flight(self):
        largest = 0

        def numbers():
            nonlocal largest
            for number in range(5000):
                largest = max(largest, stream.pending)
                yield number

        with self.client.stream() as stream:
            self.assertEqual(list(stream.map("echo", numbers(), window=100, pool="py")), list(range(5000)))
        self.assertLessEqual(largest, 100)

    def test_callbacks(self):
        ended, all_ended = [], threading.Event()

        def on_end(future):
            ended.append(future.result())
            if len(ended) == 1000:
                all_ended.set()

        with self.client.stream() as stream:
            for number in range(1000):
                stream.submit("echo", number, pool="math").add_done_callback(on_end)
            self.assertTrue(all_ended.wait(20 * harness.PATIENCE))
            future = stream.submit("noop", pool="math")
            future.result()
            called = []
            future.add_done_callback(called.append)
            self.assertEqual(called, [future])
        self.assertEqual(sorted(ended), list(range(1000)))

    def test_callback_may_submit(self):
        with self.client.stream() as stream:
            second, came = [], threading.Event()

            def go_on(future):
                second.append(stream.submit("add", future.result(), 1, pool="math"))
                came.set()

            stream.submit("add", 1, 1, pool="math").add_done_callback(go_on)
            self.assertTrue(came.wait(20 * harness.PATIENCE))
            self.assertEqual(second[0].result(), 3)

    def test_as_completed(self):
        release = Fifo(self.here, "release")
        with self.client.stream() as stream:
            last = stream.submit("print_and_wait", "x", release.path, pool="py")
            futures = [last, *(stream.submit("add", number, pool="math") for number in range(10))]
            ended = poold.as_completed(futures)
            first = [next(ended) for _ in range(10)]
            self.assertEqual(set(first), set(futures[1:]))
            with self.assertRaises(TimeoutError):
                next(poold.as_completed([last], timeout=0.01))
            release.write("go")
            self.assertEqual(list(ended), [last])

    def test_threads_share_a_stream(self):
        results = {}
        with self.client.stream() as stream:

            def work(number):
                results[number] = [stream.submit("add", number, i, pool="math").result() for i in range(200)]

            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(results, {number: [number + i for i in range(200)] for number in range(8)})


class Kills(StreamTest):
    def test_only_the_task_that_ran_pays_for_a_crash_in_the_midst_of_many_sent_ahead(self):
        """None of the others loses its worker even once, and none is begun twice that had finished."""
        self.client.scale("py", 1)
        with self.client.stream() as stream:
            for _ in range(10):
                for future in [stream.submit("noop", pool="py") for _ in range(500)]:  # so many short ones that the next are sent ahead
                    future.result()
                futures = [stream.submit("exit_hard" if n == 50 else "add", n, pool="py", crash_attempts=1) for n in range(100)]
                for n, future in enumerate(futures):
                    outcome = future.outcome()
                    self.assertEqual((outcome.kind, future.attempt), (poold.Kind.WORKER_LOST if n == 50 else poold.Kind.RETURNED, 1), f"task {n}")

    def test_every_result_is_right_while_workers_are_being_killed(self):
        killed = set()
        with self.client.stream() as stream:
            results = stream.map("print_and_add", range(3000), window=50, pool="py", crash_attempts=1000)
            for number, result in enumerate(results):
                self.assertEqual(result, number + 1)
                if number % 200 == 100:
                    ready = [w for w in self.client.workers("py") if poold.Worker.State.Name(w.state) in ("IDLE", "BUSY") and w.pid not in killed]
                    if ready:
                        processes.send(ready[0].pid, signal.SIGKILL)
                        killed.add(ready[0].pid)
        self.assertGreaterEqual(len(killed), 3)
        eventually(lambda: self.client.pool("py").workers_lost >= len(killed), 20 * harness.PATIENCE, "their ends are known")


class Ends(StreamTest):
    def test_cancel(self):
        with self.client.stream() as stream:
            begun = Fifo(self.here, "begun")
            running = stream.submit("clean_up", begun.path, str(self.here.directory / "trace"), pool="py")
            begun.read()
            self.assertTrue(running.cancel())
            with self.assertRaises(errors.TaskCancelled):
                running.result()
            self.assertTrue(running.cancelled())
            self.assertFalse(running.cancel())

    def test_signal(self):
        with self.client.stream() as stream:
            begun = Fifo(self.here, "begun")
            future = stream.submit(["sh", "-c", f'trap "exit 5" USR1; echo > {begun.path}; while :; do sleep 0.01; done'])
            begun.read()
            stream.signal(future, signal.SIGUSR1)
            self.assertEqual(future.outcome().exit_code, 5)

    def test_timeout(self):
        with self.client.stream(cancel_on_close=True) as stream:
            future = stream.submit(["sleep", "600"])
            for wait in (future.result, future.outcome, future.exception, stream.join):
                with self.assertRaises(TimeoutError):
                    wait(timeout=0.02)
            future.cancel()

    def test_engine_that_dies_fails_what_is_unfinished_where_nobody_connects_again(self):
        stream = poold.Client(self.here.socket, reconnect=0).stream()
        futures = [stream.submit(["sleep", "600"]) for _ in range(3)]
        failed = []
        futures[0].add_done_callback(failed.append)
        eventually(lambda: self.client.pool("default").running == 2, 20 * harness.PATIENCE)
        processes.kill_exactly(self.here.engine())
        for future in futures:
            with self.assertRaises(errors.ConnectionLost):
                future.result()
        self.assertEqual(failed, [futures[0]])
        with self.assertRaises(errors.ConnectionLost):
            stream.submit(["true"])
        stream.close()

    def test_close_lets_tasks_go_on(self):
        release = Fifo(self.here, "release")
        stream = self.client.stream()
        future = stream.submit("print_and_wait", "x", release.path, pool="py", want_id=True)
        eventually(lambda: future.id, 20 * harness.PATIENCE)
        stream.close()
        with self.assertRaises(errors.ConnectionLost):
            future.result()
        release.write("well")
        self.assertEqual(self.client.result(future.id), "well")

    def test_close_sends_what_was_submitted(self):
        stream = self.client.stream()
        for number in range(5000):
            stream.submit("echo", number, pool="math")
        stream.close()
        eventually(lambda: self.client.pool("math").succeeded == 5000, 60 * harness.PATIENCE, "all have run")

    def test_program_that_ends_without_closing_has_submitted_everything(self):
        program = f"""
import poold
stream = poold.Client({self.here.socket!r}).stream()
for number in range(5000):
    stream.submit("echo", number, pool="math")
"""
        subprocess.run([PYTHON, "-c", program], check=True, env={**os.environ, "PYTHONPATH": str(PACKAGE)}, timeout=60 * harness.PATIENCE)
        eventually(lambda: self.client.pool("math").succeeded == 5000, 60 * harness.PATIENCE, "all have run")

    def test_cancel_on_close(self):
        with self.assertRaises(KeyError):
            with self.client.stream(cancel_on_close=True) as stream:
                future = stream.submit(["sleep", "600"], want_id=True)
                eventually(lambda: future.id, 20 * harness.PATIENCE)
                raise KeyError("something of the program's own")
        self.assertEqual(self.client.wait(future.id).state, poold.State.CANCELLED)

    def test_daemon_that_is_slower_than_its_client(self):
        """Submissions wait while too much is unsent, and go on afterwards."""
        stream = self.client.stream()
        engine = self.here.engine()
        processes.kill_exactly(engine, signal.SIGSTOP)
        spec = poold.TaskSpec(poold.Function("echo", b"x" * 100_000), pool="math")
        futures, blocked = [], threading.Event()

        def submit():
            while not blocked.is_set() and len(futures) < 1000:
                futures.append(stream.submit(spec))

        thread = threading.Thread(target=submit)
        thread.start()
        eventually(lambda: stream._unsent > 4 * 1024 * 1024, 20 * harness.PATIENCE)
        blocked.set()
        before = len(futures)
        processes.kill_exactly(engine, signal.SIGCONT)
        thread.join()
        self.assertLessEqual(len(futures) - before, 2)
        self.assertTrue(all(future.result() == b"x" * 100_000 for future in futures))
        stream.close()

    def test_streams_leave_no_descriptors(self):
        def count():
            return len(os.listdir("/proc/self/fd"))

        before = count()
        for _ in range(20):
            with self.client.stream() as stream:
                stream.submit("noop", pool="math").result()
        self.assertEqual(count(), before)

    def test_fork(self):
        with self.client.stream() as stream:
            child = os.fork()
            if child == 0:
                try:
                    stream.submit("noop", pool="math")
                except errors.Unavailable:
                    os._exit(0)
                finally:
                    os._exit(1)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            self.assertEqual(stream.submit("add", 1, 1, pool="math").result(), 2)

    def test_arguments_that_are_too_large_for_a_frame(self):
        with self.client.stream() as stream:
            with self.assertRaises(ValueError):
                stream.submit("echo", "x" * (17 << 20), pool="py")
            with self.assertRaises(errors.ResourceExhausted):
                stream.submit("echo", b"x" * (17 << 20), pool="py").result()
            self.assertEqual(stream.submit("add", 1, pool="py").result(), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
