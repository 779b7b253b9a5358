"""What Python functions print becomes their task's log, however they print it, and never another task's."""

import unittest

import harness
from python_pool import Fifo, python_pool

import poold


class OutputTest(harness.DaemonTest):
    settings = {}

    def setUp(self):
        self.here = self.daemon({"py": python_pool(**self.settings)}).wait_ready()
        self.control = self.here.client()
        self.client = poold.Client(self.here.socket)
        self.addCleanup(self.client.close)

    def call(self, name, *args):
        """Runs it: the task, what it wrote to stdout, and to stderr."""
        task = self.client.wait(self.client.submit(name, *args, pool="py"))
        out, error = self.control.output(task.id)
        return task, out, error

    def logs(self):
        return [path.name for path in (self.here.state / "logs" / "py").iterdir() if path.name.endswith(".log")]


class Prints(OutputTest):
    def test_every_way_of_printing(self):
        _, out, error = self.call("print_everywhere", "A")
        lines = ["A print", "A no end of lineA descriptor 1", "A from C", "A child"]
        self.assertEqual(out.decode().splitlines(), lines)
        self.assertEqual(error.decode().splitlines(), ["A error", "A descriptor 2", "A child error"])

    def test_each_task_has_its_own(self):
        tasks = [self.client.submit("print_everywhere", f"T{number}", pool="py") for number in range(20)]
        self.client.wait_all(tasks)
        for number, task in enumerate(tasks):
            out, error = self.control.output(task)
            for line in (out + error).decode().splitlines():
                self.assertTrue(line.startswith(f"T{number} "), line)

    def test_silent_tasks_have_no_log(self):
        for number in range(50):
            self.assertEqual(self.client.call("add", number, 1, pool="py"), number + 1)
        self.assertEqual(self.logs(), [])
        self.call("chat", "something")
        self.assertEqual(len(self.logs()), 1)

    def test_any_bytes(self):
        data = bytes(range(256))
        _, out, _ = self.call("print_raw", data.hex())
        self.assertEqual(out, data)

    def test_output_of_a_function_that_raises_or_dies(self):
        task, out, _ = self.call("give", "print('before') or 1/0")
        self.assertEqual((task.outcome.kind, out), (poold.Kind.RAISED, b"before\n"))

    def test_large_output_is_whole(self):
        _, out, _ = self.call("print_much", 100_000)
        self.assertEqual(out, b"".join(b"line %09d\n" % number for number in range(100_000)))

    def test_output_after_a_function_closed_it(self):
        self.call("spoil_output")
        _, out, _ = self.call("print_after_spoiling", "still here")
        self.assertEqual(out, b"still here")

    def test_output_of_another_attempt_is_another_log(self):
        path = str(self.here.directory / "calls")
        task = self.client.submit("give", f"print(open({path!r}, 'a').write('x'), __import__('os').path.getsize({path!r})) or 1/0", pool="py", attempts=2)
        self.client.wait(task)
        for attempt in (1, 2):
            self.assertEqual(self.control.output(task, attempt)[0].decode().split()[0], "1")

    def test_poolctl_shows_it_beside_the_value(self):
        ended = self.here.poolctl("run", "--pool", "py", "--function", "chat", "hello")
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "null\n", "hello\nthat was all\n"))


class Long(OutputTest):
    settings = {"log_size": "512KiB"}

    def test_first_and_last_half_are_kept(self):
        task, _, _ = self.call("print_much", 200_000)
        chunks = list(self.client.logs(task.id))
        data = b"".join(chunk.data for chunk in chunks)
        skipped = sum(chunk.skipped for chunk in chunks)
        whole = b"".join(b"line %09d\n" % number for number in range(200_000))
        self.assertTrue(data.startswith(whole[:200_000]))
        self.assertTrue(data.endswith(whole[-150_000:]))
        self.assertGreater(skipped, len(whole) - 512 * 1024)
        self.assertLess(len(data), 512 * 1024 + 1)


class Live(OutputTest):
    def test_output_shows_while_the_function_runs(self):
        release = Fifo(self.here, "release")
        task = self.client.submit("print_and_wait", "I have begun", release.path, pool="py")
        chunks = self.client.logs(task, follow=True)
        self.assertEqual(next(chunks).data, b"I have begun\n")
        self.assertEqual(self.client.get(task).state, poold.State.RUNNING)
        release.write("go")
        self.assertEqual(list(chunks), [])
        self.assertEqual(self.client.result(task), "go")

    def test_a_child_s_output_shows_while_it_runs(self):
        release = Fifo(self.here, "release")
        task = self.client.submit("child_prints_and_waits", "child", release.path, pool="py")
        chunks = self.client.logs(task, follow=True)
        self.assertEqual(next(chunks).data, b"child\n")
        release.write("and more\n")
        self.assertEqual(b"".join(chunk.data for chunk in chunks), b"and more\n")
        self.assertEqual(self.client.result(task), 0)

    def test_output_of_a_lost_attempt_is_kept_as_far_as_it_showed(self):
        task = self.client.submit("give", "print('last words') or __import__('time').sleep(600)", pool="py", crash_attempts=1)
        self.assertEqual(next(self.client.logs(task, follow=True)).data, b"last words\n")
        import processes

        processes.send(self.client.get(task).placement.pid, 9)
        self.assertEqual(self.client.wait(task).outcome.kind, poold.Kind.WORKER_LOST)
        self.assertEqual(self.control.output(task)[0], b"last words\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
