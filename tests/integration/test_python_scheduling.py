"""The options of a task from Python: when it runs, beside how many others, and what follows when it fails."""

import datetime

import harness
from control import eventually
from python_pool import Fifo, python_pool

import poold
from poold import errors
from poold.spec import TaskSpec
from poold.v1 import task_pb2


class Scheduling(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": harness.COMMANDS, "py": python_pool(workers=2, grace="77s")}).wait_ready()
        self.client = poold.Client(self.here.socket)
        self.addCleanup(self.client.close)
        self.control = self.here.client()

    def reasons(self, task):
        return [reason["kind"] for reason in self.control.call("Tasks/Explain", {"id": task})["reasons"]]

    def test_every_option_arrives(self):
        at = datetime.datetime(2030, 1, 31, 12, tzinfo=datetime.timezone.utc)
        spec = task_pb2.TaskSpec.FromString(TaskSpec(["true"], at=at, ttl=1.5, after="a", after_any=["b", "c"], on_parent_failure="release",
                                                     hold=True, limits={"gpu": 2}, backoff=datetime.timedelta(seconds=3), backoff_max=60,
                                                     retry_on=["raised", 75], timeout=4, grace=0, deadline=5).bytes)
        self.assertEqual((spec.at.seconds, spec.ttl.seconds, spec.ttl.nanos), (int(at.timestamp()), 1, 500_000_000))
        self.assertEqual((list(spec.after), list(spec.after_any), spec.on_parent_failure, spec.hold), (["a"], ["b", "c"], 1, True))
        self.assertEqual((dict(spec.limits), list(spec.retry_on)), ({"gpu": 2}, ["RAISED", "75"]))
        self.assertEqual((spec.backoff.seconds, spec.backoff_max.seconds, spec.timeout.seconds, spec.deadline.seconds), (3, 60, 4, 5))
        self.assertTrue(spec.HasField("grace"))
        self.assertEqual(task_pb2.TaskSpec.FromString(TaskSpec(["true"], delay=2).bytes).delay.seconds, 2)

    def test_batches_and_groups(self):
        specs = [TaskSpec(["true"], group="g") for _ in range(3)]
        with self.assertRaisesRegex(errors.NotFound, r"tasks\[3\]: pool"):
            self.client.submit_batch([*specs, TaskSpec(["true"], pool="nowhere")], all_or_none=True)
        self.assertEqual(list(self.client.groups()), [])
        ids = self.client.submit_batch([*specs, TaskSpec(["true"], after_group="g")], all_or_none=True)
        self.assertTrue(self.client.wait(ids[-1]).state.ended)
        group = self.client.wait_group("g", 30)
        self.assertEqual((group.name, group.unfinished, group.succeeded, group.closed), ("g", 0, 3, False))
        self.assertEqual([group.name for group in self.client.groups()], ["g"])
        self.assertEqual({task.id for task in self.client.list(groups="g")}, set(ids[:3]))
        self.assertEqual(self.client.get(ids[0]).group, "g")
        with self.assertRaisesRegex(TypeError, "after_group: a text is wanted"):
            self.client.submit(["true"], after_group=7)

    def test_wrong_values_name_the_option_and_what_is_accepted(self):
        for option, value, words in [
            ("delay", "soon", "seconds or a datetime.timedelta"), ("ttl", -1, "not from 0"), ("at", datetime.datetime(2030, 1, 1), "time zone"),
            ("at", "noon", "datetime.datetime"), ("after", 7, "an id or several"), ("after_any", [7], "ids are texts"),
            ("on_parent_failure", "cry", "'cancel' or 'release'"), ("hold", 1, "True or False"), ("limits", {"gpu": 0}, "at least 1"),
            ("limits", 3, "tokens by name"), ("backoff", True, "seconds"), ("retry_on", [1.5], "exit code"), ("timeout", float("nan"), "not from 0"),
            ("deadline", 1e30, "not from 0"), ("grace", [], "seconds"),
        ]:
            with self.subTest(option=option, value=value), self.assertRaises((TypeError, ValueError)) as caught:
                self.client.submit(["true"], **{option: value})
            self.assertIn(option, str(caught.exception))
            self.assertIn(words, str(caught.exception))
        with self.assertRaisesRegex(errors.InvalidArgument, "retryOn"):
            self.client.submit(["true"], retry_on="CRIED")

    def test_tasks_wait_for_others_and_for_a_release(self):
        parent = self.client.submit(["true"], hold=True)
        child = self.client.submit(["true"], after=[parent], limits="gpu", delay=0.01)
        self.assertEqual((self.reasons(parent), self.reasons(child)[0]), (["HELD"], "PARENT"))
        self.control.call("Tasks/Release", {"id": parent})
        self.assertEqual(self.client.result(child), 0)

    def test_a_function_whose_time_is_over_gets_time_limit(self):
        begun, trace = Fifo(self.here, "begun"), self.here.directory / "trace"
        task = self.client.submit("clean_up", begun.path, str(trace), pool="py", timeout=0.5, grace=60)
        begun.read()
        ended = self.control.wait(task)[0]
        self.assertEnded(ended, "TIMED_OUT")
        eventually(lambda: trace.exists() and trace.read_text(encoding="utf-8") == "TimeLimit", 30)

    def test_a_function_is_told_why_it_is_to_end_and_how_long_it_has(self):
        for how, words in (("timeout", "TimeLimit 61.5"), ("deadline", "TimeLimit 61.5"), ("cancel", "Cancelled 61.5"), ("pool", "Cancelled 77.0")):
            with self.subTest(how):
                begun, trace = Fifo(self.here, f"begun-{how}"), self.here.directory / f"trace-{how}"
                options = {"pool": {}, "cancel": {"grace": 61.5}}.get(how, {"grace": 61.5, how: 0.5})
                task = self.client.submit("tell_grace", begun.path, str(trace), pool="py", **options)
                begun.read()
                if how in ("cancel", "pool"):
                    self.client.cancel(task)
                self.assertEqual(self.control.wait(task)[0]["state"], "CANCELLED" if words.startswith("Cancelled") else "FAILED")
                self.assertEqual(trace.read_text(encoding="utf-8"), words)

    def test_every_option_may_have_a_default_in_the_decorator(self):
        import python_functions

        task = self.client.submit(python_functions.with_every_option, 7)
        told = self.control.call("Tasks/Get", {"id": task, "withOptions": True})["task"]["options"]
        expected = {"timeout": "4s", "grace": "1.500s", "limits": {"gpu": 1}, "backoff": "2s", "backoffMax": "60s", "retryOn": ["RAISED", "75"],
                    "ttl": "30s", "deadline": "60s", "delay": "0.010s", "hold": False, "attempts": 2, "onParentFailure": "RELEASE",
                    "labels": {"a": "b"}, "priority": 1, "crashAttempts": 3, "pool": "py"}
        self.assertEqual({name: told[name] for name in expected}, expected)
        task = self.client.submit(python_functions.with_every_option, 7, timeout=9)
        told = self.control.call("Tasks/Get", {"id": task, "withOptions": True})["task"]["options"]
        self.assertEqual((told["timeout"], told["grace"]), ("9s", "1.500s"), "what the caller says counts")
        with self.assertRaisesRegex(TypeError, "no option patience; there are name, after"):
            poold.task(patience=3)
        # All that can be submitted, but what belongs to one task alone.
        self.assertEqual(poold._functions._DEFAULTS, poold.spec.OPTIONS - {"key", "name"})


if __name__ == "__main__":
    harness.main()
