"""Functions as tasks, in the plug-in of examples: values, errors, crashes, and payloads of bytes."""

import base64
import signal
import unittest

import harness
from control import eventually
from frames import Stream, outcome_name, stream_pb2

EXACT = 2**53


class Calls(harness.DaemonTest):
    def setUp(self):
        self.control = self.daemon({"math": harness.FUNCTIONS, "default": harness.COMMANDS}).client()

    def call(self, name, *args, **spec):
        return self.control.wait(self.control.submit(function=name, args=args, pool="math", **spec))[0]

    def test_typed_values(self):
        task = self.call("add", 1, 2)
        self.assertEqual(task["state"], "SUCCEEDED")
        self.assertEnded(task, "RETURNED", value=3)

    def test_every_json_value_comes_back(self):
        for value in (None, True, 0, -1.5, "", "ä\u2028\U0001f600", [], [1, [2]], {}, {"a": {"b": None}}, EXACT, -EXACT):
            self.assertEnded(self.call("echo", value), "RETURNED", value=value)

    def test_integers_that_doubles_cannot_hold_are_refused_by_name(self):
        for value in (EXACT + 1, -EXACT - 1, 10**30):
            error = self.refused("invalid_argument", self.call, "echo", value)
            self.assertIn("args", error.message)
        error = self.refused("invalid_argument", self.call, "echo", [{"deep": EXACT + 1}])
        self.assertIn("args", error.message)

    def test_payload_of_bytes(self):
        data = base64.b64encode(bytes(range(256))).decode()
        spec = {"pool": "math", "function": {"name": "echo", "payload": {"contentType": "application/octet-stream", "data": data}}}
        task = self.control.wait(self.control.call("Tasks/Submit", spec)["id"])[0]
        self.assertEnded(task, "RETURNED")
        self.assertEqual(task["outcome"]["payload"], {"contentType": "application/octet-stream", "data": data, "sharedSize": "0"})

    def submit_payload(self, pool, content_type):
        return self.control.call("Tasks/Submit", {"pool": pool, "function": {"name": "echo", "payload": {"contentType": content_type}}})

    def test_pickles_only_where_the_pool_takes_them(self):
        control = self.control
        error = self.refused("invalid_argument", self.submit_payload, "math", "application/x-python-pickle")
        self.assertTrue(error.message.startswith("function.payload.contentType: pool 'math' does not take 'application/x-python-pickle'"), error)
        self.control = self.daemon({"pickles": {**harness.FUNCTIONS, "accept": "pickle"}}).client()
        task = self.control.wait(self.submit_payload("pickles", "application/x-python-pickle")["id"])[0]
        self.assertEnded(task, "RETURNED")
        error = self.refused("invalid_argument", self.submit_payload, "pickles", "image/png")
        self.assertIn("takes application/x-python-pickle", error.message)
        self.assertEqual(self.control.pool("pickles")["accept"], ["application/x-python-pickle"])
        self.control = control

    def test_pickle_on_a_stream_is_refused_too(self):
        poold = self.daemon({"math": harness.FUNCTIONS})
        with Stream(poold.socket) as stream:
            frame = stream_pb2.ClientFrame()
            frame.submit.tag = 5
            frame.submit.task.pool = "math"
            frame.submit.task.function.name = "echo"
            frame.submit.task.function.payload.content_type = "application/x-python-pickle"
            stream.send(frame)
            rejected = stream.receive().rejected
            self.assertEqual((rejected.tag, rejected.code), (5, "invalid_argument"))
            self.assertIn("pickle", rejected.message)

    def test_exception(self):
        task = self.call("raise", "it went wrong")
        self.assertEqual(task["state"], "FAILED")
        self.assertEnded(task, "RAISED")
        self.assertIn("it went wrong", task["outcome"]["error"]["message"])
        self.assertTrue(task["outcome"]["error"]["type"])

    def test_unknown_function(self):
        task = self.call("no_such_function")
        self.assertEnded(task, "REJECTED")
        self.assertIn("no_such_function", task["outcome"]["error"]["message"])

    def test_wrong_arguments(self):
        for args in ((), ("a",), (1, 2), (1.5,)):
            task = self.call("sleep_ms", *args)
            self.assertEnded(task, "REJECTED")
            self.assertEqual(task["outcome"]["error"]["type"], "TypeError")

    def test_command_in_a_pool_of_functions_and_function_in_a_pool_of_commands(self):
        self.refused("invalid_argument", self.control.submit, ["true"], pool="math")
        self.refused("invalid_argument", self.control.submit, function="add", args=[1, 2])

    def test_same_key_is_the_same_task(self):
        spec = {"pool": "math", "key": "k", "function": {"name": "add", "args": [1, 2]}}
        first = self.control.call("Tasks/Submit", spec)
        second = self.control.call("Tasks/Submit", spec)
        self.assertEqual((first["id"], False, True), (second["id"], first["duplicate"], second["duplicate"]))
        self.control.wait(first["id"])
        self.assertEqual(self.control.call("Tasks/Submit", spec)["id"], first["id"])
        spec["function"]["args"] = [1, 3]
        self.refused("already_exists", self.control.call, "Tasks/Submit", spec)

    def test_large_value(self):
        text = "x" * 5_000_000
        self.assertEnded(self.call("echo", text), "RETURNED", value=text)


def submission(function, tag):
    """A submission that may lose its worker once."""
    frame = stream_pb2.ClientFrame()
    frame.submit.tag = tag
    frame.submit.task.pool = "math"
    frame.submit.task.crash_attempts = 1
    frame.submit.task.function.name = function
    return frame


class Crashes(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"math": harness.FUNCTIONS}).wait_ready()
        self.control = self.here.client()

    def submit(self, name, *args, **spec):
        return self.control.submit(function=name, args=args, pool="math", **spec)

    def test_segmentation_fault_is_worker_lost_after_the_crash_attempts(self):
        before = self.control.pool("math")["workersLost"]
        neighbours = [self.submit("sleep_ms", 20) for _ in range(20)]
        crash = self.submit("crash")
        neighbours += [self.submit("add", 1, i) for i in range(100)]
        task = self.control.wait(crash)[0]
        self.assertEqual((task["state"], task["crashes"], task["attempt"]), ("FAILED", 5, 5))
        self.assertEnded(task, "WORKER_LOST", signal=int(signal.SIGSEGV))
        for neighbour in self.control.wait(*neighbours):
            self.assertEqual((neighbour["state"], neighbour["crashes"]), ("SUCCEEDED", 0), neighbour)
        pool = self.control.pool("math")
        self.assertIn(pool["state"], ("READY", "STARTING"))
        self.assertEqual(int(pool["workersLost"]) - int(before), 5)
        self.assertNotIn("throttledUntil", pool)

    def test_only_the_task_that_ran_pays_for_a_crash_in_the_midst_of_many_sent_ahead(self):
        """None of the others may lose its worker even once, and none is begun twice that had finished."""
        self.control.call("Pools/Scale", {"name": "math", "workers": 1})
        with Stream(self.here.socket) as stream:
            for _ in range(30):
                for tag in range(300):  # so many short ones that the next are sent ahead
                    stream.submit(tag, function="noop", pool="math")
                for _ in range(300):
                    stream.result()
                frames = [submission("noop" if tag != 50 else "crash", tag) for tag in range(100)]
                stream.send(*frames)
                results = {result.tag: result for result in (stream.result().result for _ in frames)}
                for tag, result in results.items():
                    expected = "WORKER_LOST" if tag == 50 else "RETURNED"
                    self.assertEqual((outcome_name(result.outcome), result.attempt), (expected, 1), f"task {tag}")

    def test_crash_attempts_of_the_task(self):
        task = self.control.wait(self.submit("crash", crashAttempts=2))[0]
        self.assertEqual((task["crashes"], task["attempt"]), (2, 2))

    def test_exit_inside_a_function(self):
        task = self.control.wait(self.submit("exit_now", 9, crashAttempts=1))[0]
        self.assertEnded(task, "WORKER_LOST", exitCode=9)

    def test_many_crashes_do_not_throttle_the_pool(self):
        ids = [self.submit("crash", crashAttempts=1) for _ in range(40)]
        for task in self.control.wait(*ids):
            self.assertEnded(task, "WORKER_LOST", signal=int(signal.SIGSEGV))
        self.assertNotEqual(self.control.pool("math")["state"], "THROTTLED")
        self.assertEnded(self.control.wait(self.submit("add", 2, 2))[0], "RETURNED", value=4)

    def test_cancel_of_a_running_function(self):
        task_id = self.submit("sleep_ms", 100_000)
        eventually(lambda: self.control.task(task_id)["state"] == "RUNNING", what="it runs")
        self.control.call("Tasks/Cancel", {"id": task_id})
        self.assertEnded(self.control.wait(task_id)[0], "CANCELLED")

    def test_cancel_of_a_function_that_does_not_listen(self):
        plugin = str(harness.LIBRARY / "libpoold_witness.so")
        here = self.daemon({"math": {"kind": "function", "plugin": plugin, "workers": 1, "grace": "200ms"}})
        control = here.client()
        task_id = control.submit(function="stubborn", pool="math")
        eventually(lambda: control.task(task_id)["state"] == "RUNNING", what="it runs")
        control.call("Tasks/Cancel", {"id": task_id})
        task = control.wait(task_id)[0]
        self.assertEnded(task, "CANCELLED")
        log = str(here.directory / "witness")
        self.assertEnded(control.wait(control.submit(function="witness", args=[log, 1, 0], pool="math"))[0], "RETURNED", value=8)

    def test_short_task_does_not_wait_behind_a_long_one_while_another_worker_idles(self):
        for _ in range(5):
            quick = [self.submit("noop") for _ in range(200)]
            long = self.submit("sleep_ms", 3000)
            quick += [self.submit("noop") for _ in range(200)]
            for task in self.control.wait(*quick, timeout=2 * harness.PATIENCE):
                self.assertEqual(task["state"], "SUCCEEDED", task)
            self.control.call("Tasks/Cancel", {"id": long})
            self.control.wait(long)


if __name__ == "__main__":
    unittest.main(verbosity=2)
