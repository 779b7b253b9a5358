"""poold.Client against a real daemon: calls, their results, and their errors."""

import os
import pathlib
import signal
import threading
import unittest
from datetime import datetime, timedelta, timezone

import harness
import processes
from control import eventually
from python_pool import Fifo, python_pool

import poold
import poold_examples
import python_functions
from poold import errors


class ClientTest(harness.DaemonTest):
    pools = {"default": harness.COMMANDS, "py": python_pool(workers=2), "math": harness.FUNCTIONS}

    def setUp(self):
        self.here = self.daemon(self.pools).wait_ready()
        self.client = poold.Client(self.here.socket)
        self.addCleanup(self.client.close)


class Commands(ClientTest):
    def test_a_command_and_its_options(self):
        task_id = self.client.submit(
            ["sh", "-c", "cat; echo $GREETING; pwd"], env={"GREETING": "hello"}, cwd="/", stdin=b"in\0put\n", name="named", priority=-3, labels={"a": "b"}
        )
        self.assertEqual(self.client.result(task_id), 0)
        task = self.client.get(task_id)
        self.assertEqual((task.name, task.priority, task.labels, task.pool, task.attempt), ("named", -3, {"a": "b"}, "default", 1))
        self.assertEqual(task.work, poold.Command(["sh", "-c", "cat; echo $GREETING; pwd"], {"GREETING": "hello"}, "/", b"in\0put\n"))
        self.assertEqual(b"".join(chunk.data for chunk in self.client.logs(task_id)), b"in\0put\nhello\n/\n")
        self.assertLess(datetime.now(timezone.utc) - task.submitted_at, timedelta(minutes=5))
        self.assertIsNotNone(task.outcome.usage)

    def test_words_that_are_no_text(self):
        self.assertEqual(self.client.call(["test", b"\xff", "=", b"\xff"]), 0)
        self.assertEqual(self.client.call([pathlib.Path("/bin/true")]), 0)

    def test_endings(self):
        for script, error, check in (
            ("exit 7", errors.TaskExited, lambda o: o.exit_code == 7),
            ("kill -9 $$", errors.TaskSignaled, lambda o: o.signal == signal.SIGKILL),
        ):
            with self.assertRaises(error) as caught:
                self.client.call(["sh", "-c", script])
            self.assertTrue(check(caught.exception.outcome), caught.exception.outcome)
            self.assertIsInstance(caught.exception, errors.TaskError)
            self.assertTrue(caught.exception.task_id)

    def test_signal(self):
        begun = Fifo(self.here, "begun")
        task = self.client.submit(["sh", "-c", f'trap "exit 3" USR1; echo > {begun.path}; while :; do sleep 0.01; done'])
        begun.read()
        self.client.signal(task, signal.SIGUSR1)
        self.assertEqual(self.client.wait(task).outcome.exit_code, 3)
        with self.assertRaises(errors.WrongState):
            self.client.signal(task, signal.SIGUSR1)

    def test_cancel(self):
        task = self.client.submit(["sleep", "600"])
        self.assertTrue(self.client.cancel(task))
        with self.assertRaises(errors.TaskCancelled):
            self.client.result(task)
        self.assertFalse(self.client.cancel(task))


class Functions(ClientTest):
    def test_by_name_and_by_itself(self):
        self.assertEqual(self.client.call("add", 1, 2, z=3, pool="math"), 6)
        self.assertEqual(self.client.call("add", 1, 2, z=3, pool="py"), 6)
        self.assertEqual(self.client.call("python_functions:plain", [1, None], pool="py"), ["plain", [1, None]])
        self.assertEqual(self.client.call(python_functions.plain, "x", pool="py"), ["plain", "x"])
        self.assertEqual(self.client.call(poold_examples.add, 2, 3, pool="py"), 5)
        self.assertEqual(poold_examples.add(2, 3), 5)

    def test_defaults_of_the_decorator_and_what_overrides_them(self):
        task = self.client.get(self.client.submit(python_functions.with_options, 1))
        self.assertEqual((task.pool, task.priority, task.labels), ("py", 7, {"from": "decorator"}))
        self.assertEqual(task.work, poold.Function("renamed", 1))
        task = self.client.get(self.client.submit(python_functions.with_options, 1, priority=1, labels={"mine": "x"}))
        self.assertEqual((task.pool, task.priority, task.labels), ("py", 1, {"mine": "x"}))

    def test_argument_that_has_an_option_s_name(self):
        self.assertEqual(self.client.call(poold.Function("add", name=1, pool=2), pool="py"), 3)

    def test_bytes(self):
        data = os.urandom(1_000_000)
        self.assertEqual(self.client.call("echo", data, pool="py"), data)
        self.assertEqual(self.client.call("echo", poold.Payload(b"x", "text/x-own"), pool="math"), poold.Payload(b"x", "text/x-own"))

    def test_what_raised_is_told(self):
        with self.assertRaises(errors.TaskRaised) as caught:
            self.client.call("divide", 1, 0, pool="py")
        outcome = caught.exception.outcome
        self.assertEqual((outcome.kind, outcome.error.type, outcome.error.message), (poold.Kind.RAISED, "ZeroDivisionError", "division by zero"))
        self.assertIn("return a / b", str(caught.exception))

    def test_what_was_rejected_and_what_was_lost(self):
        with self.assertRaises(errors.TaskRejected):
            self.client.call("no_such", pool="py")
        with self.assertRaises(errors.WorkerLost) as caught:
            self.client.call("exit_hard", 4, pool="py", crash_attempts=1)
        self.assertIn("exit code 4", str(caught.exception))

    def test_arguments_that_cannot_be_sent_are_named(self):
        for args, kwargs, words in (
            ((object(),), {}, "argument 0: object is no JSON value"),
            ((1, [2**60]), {}, "argument 1[0]: an integer beyond"),
            ((), {"x": float("nan")}, "argument 'x': nan"),
            ((b"bytes", 2), {}, "argument 0: bytes is no JSON value"),
        ):
            with self.assertRaises(ValueError) as caught:
                self.client.submit("echo", *args, pool="py", **kwargs)
            self.assertIn(words, str(caught.exception))

    def test_functions_that_no_worker_can_know(self):
        def local():
            pass

        with self.assertRaisesRegex(ValueError, "lambda or a function inside another"):
            self.client.submit(local, pool="py")
        with self.assertRaisesRegex(ValueError, "lambda or a function inside another"):
            self.client.submit(lambda: 1, pool="py")


class Calls(ClientTest):
    def test_key(self):
        first = self.client.submit("add", 1, 2, pool="py", key="k")
        second = self.client.submit("add", 1, 2, pool="py", key="k")
        self.assertEqual((first, first.duplicate, second.duplicate), (second, False, True))
        with self.assertRaises(errors.AlreadyExists) as caught:
            self.client.submit("add", 1, 3, pool="py", key="k")
        self.assertEqual(caught.exception.code, "already_exists")

    def test_batch_is_accepted_and_refused_one_by_one(self):
        tasks = [poold.TaskSpec(poold.Function("add", number), pool="py") for number in range(10_500)]
        tasks[3] = poold.TaskSpec(poold.Function("add", 3), pool="nowhere")
        results = self.client.submit_batch(tasks)
        self.assertEqual(len(results), 10_500)
        self.assertIsInstance(results.pop(3), errors.NotFound)
        ended = self.client.wait_all(results)
        self.assertEqual([task.result() for task in ended], [number for number in range(10_500) if number != 3])

    def test_what_does_not_exist(self):
        for call in (
            lambda: self.client.get("no-such-id"),
            lambda: self.client.cancel("0192f0c1-a2b3-7001-8000-400000000005"),
            lambda: self.client.pool("nowhere"),
            lambda: self.client.submit(["true"], pool="nowhere"),
            lambda: list(self.client.logs("nothing")),
            lambda: list(self.client.logs("nothing", follow=True)),
        ):
            with self.assertRaises(errors.NotFound):
                call()

    def test_wrong_requests(self):
        with self.assertRaisesRegex(errors.InvalidArgument, "^name"):
            self.client.submit(["true"], name="x" * 256)
        with self.assertRaises(errors.InvalidArgument):
            self.client.submit("add", 1, pool="default")
        for call, error in (
            (lambda: self.client.submit([]), ValueError),
            (lambda: self.client.submit(["true"], 1), TypeError),
            (lambda: self.client.submit(["true"], unknown=1), TypeError),
            (lambda: self.client.submit("add", priority="high"), TypeError),
            (lambda: self.client.submit("add", priority=2**31), ValueError),
            (lambda: self.client.submit(poold.Command("ls -l")), ValueError),
            (lambda: list(self.client.list(states="SLEEPING")), ValueError),
        ):
            with self.assertRaises(error):
                call()

    def test_wait_ends_in_time_and_changes_nothing(self):
        task = self.client.submit(["sleep", "600"])
        self.assertFalse(self.client.wait(task, timeout=0.05).state.ended)
        with self.assertRaises(TimeoutError):
            self.client.result(task, timeout=0)
        short = self.client.submit(["true"])
        tasks = self.client.wait_any([task, short])
        self.assertEqual([t.state.ended for t in tasks], [False, True])
        self.client.cancel(task)

    def test_list_and_cancel_by_selector(self):
        self.client.pause("py")
        ids = [self.client.submit("add", number, pool="py", name=f"n{number % 2}", labels={"l": str(number % 3)}) for number in range(2500)]
        self.assertEqual([task.id for task in self.client.list(pools="py")], ids[::-1])
        self.assertEqual(len(list(self.client.list(pools="py", limit=7))), 7)
        self.assertEqual(len(list(self.client.list(names=["n0"], states=poold.State.QUEUED))), 1250)
        chosen = self.client.cancel_where(labels={"l": "2"}, states="queued")
        self.assertEqual(sorted(chosen), sorted(ids[2::3]))
        self.assertEqual(len(list(self.client.list(pools="py", states=[poold.State.CANCELLED]))), len(chosen))
        self.client.cancel_where(pools="py")
        self.assertEqual(self.client.pool("py").queued, 0)

    def test_administration(self):
        self.assertEqual([pool.name for pool in self.client.pools()], ["default", "py", "math"])
        self.assertEqual(self.client.scale("math", 3).workers, 3)
        self.assertEqual(self.client.drain("math").name, "math")
        with self.assertRaises(errors.WrongState):
            self.client.submit("noop", pool="math")
        self.client.resume("math")
        self.client.recycle("math")
        self.assertEqual(self.client.call("noop", pool="math"), None)
        self.assertEqual({worker.pool for worker in self.client.workers("py")}, {"py"})
        self.assertEqual(self.client.info().pid, self.here.pid)
        self.assertEqual(list(self.client.reload()), [])

    def test_threads_share_a_client(self):
        results = {}

        def work(number):
            results[number] = [self.client.call("add", number, i, pool="math") for i in range(20)]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, {number: [number + i for i in range(20)] for number in range(10)})

    def test_a_fork_has_its_own_connections(self):
        self.client.call("noop", pool="math")
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if [self.client.call("add", 1, i, pool="math") for i in range(100)] == [1 + i for i in range(100)] else 1)
            finally:
                os._exit(2)
        self.assertEqual([self.client.call("add", 2, i, pool="math") for i in range(100)], [2 + i for i in range(100)])
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_connection_to_an_engine_that_died_is_replaced(self):
        self.client.call("noop", pool="math")
        engine = self.here.engine()
        processes.kill_exactly(engine)
        self.assertEqual(processes.wait_gone([engine.pid], 20 * harness.PATIENCE), [])
        self.assertEqual(self.client.call("add", 1, 1, pool="math"), 2)


class Discovery(harness.DaemonTest):
    def test_where_the_daemon_is_looked_for(self):
        here = self.daemon().wait_ready()
        directory = here.directory / "runtime"
        (directory / "poold").mkdir(parents=True)
        environment = dict(os.environ)
        self.addCleanup(os.environ.update, environment)
        os.environ.pop("POOLD_SOCKET", None)
        os.environ["XDG_RUNTIME_DIR"] = str(directory)
        self.assertEqual(poold.Client().socket, "/run/poold/control.sock")
        os.symlink(here.socket, directory / "poold" / "control.sock")
        self.assertEqual(poold.Client().call(["true"]), 0)
        os.environ["POOLD_SOCKET"] = here.socket
        self.assertEqual(poold.Client().socket, here.socket)
        self.assertEqual(poold.Client("/elsewhere").socket, "/elsewhere")
        del os.environ["POOLD_SOCKET"]

    def test_no_daemon(self):
        with self.assertRaisesRegex(errors.Unavailable, "/nowhere/at.all: there is no such socket"):
            poold.Client("/nowhere/at.all").info()
        here = self.daemon().wait_ready()
        client = poold.Client(here.socket, reconnect=0)
        client.info()
        here.kill()
        with self.assertRaises(errors.Unavailable):
            client.info()

    def test_something_else_listens(self):
        import socket

        here = self.daemon(start=False)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(here.socket)
            listener.listen()

            def serve():
                connection, _ = listener.accept()
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-nonsense\r\n\r\n")
                connection.close()

            thread = threading.Thread(target=serve)
            thread.start()
            with self.assertRaisesRegex(errors.ProtocolError, "SSH-2.0"):
                poold.Client(here.socket).info()
            thread.join()

    def test_daemon_that_does_not_answer(self):
        here = self.daemon().wait_ready()
        engine = here.engine()
        processes.kill_exactly(engine, signal.SIGSTOP)
        with self.assertRaises(errors.DeadlineExceeded):
            poold.Client(here.socket, timeout=0.2).info()
        processes.kill_exactly(engine, signal.SIGCONT)
        eventually(lambda: poold.Client(here.socket).info().pid, 20)


if __name__ == "__main__":
    unittest.main(verbosity=2)
