"""Refusals: each says what was wrong, by name, with Connect's code and HTTP's status."""

import json
import os
import shutil
import subprocess
import unittest

import harness
from control import Control


class Errors(harness.DaemonTest):
    """Each says what was wrong, by name, with Connect's code and status."""

    @classmethod
    def setUpClass(cls):
        cls.here = harness.Daemon({"default": harness.COMMANDS, "tiny": {"kind": "command", "workers": 0, "queue_size": 3}})
        cls.addClassCleanup(cls.here.clean_up)
        cls.here.start()
        cls.control = Control(cls.here.socket)
        cls.addClassCleanup(cls.control.close)

    def invalid(self, field, message, method="Tasks/Submit"):
        raw = message if isinstance(message, bytes) else None
        error = self.refused("invalid_argument", self.control.call, method, None if raw else message, raw)
        self.assertEqual(error.status, 400)
        self.assertIn(field, error.message)

    def test_unknown_ids(self):
        for task_id in ("nonsense", "", "01920000-0000-7000-8000-000000000000"):
            for method in ("Get", "Logs"):
                self.assertEqual(self.refused("not_found", self.control.call, "Tasks/" + method, {"id": task_id}).status, 404)
        self.refused("not_found", self.control.call, "Tasks/Wait", {"ids": ["nonsense"]})
        self.refused("not_found", self.control.call, "Tasks/Signal", {"id": "nonsense", "signal": 1})
        self.refused("not_found", self.control.call, "Tasks/Cancel", {"id": "nonsense"})

    def test_unknown_pool(self):
        self.refused("not_found", self.control.submit, ["true"], pool="nowhere")
        for verb in ("Get", "Scale", "Pause", "Resume", "Drain", "Recycle"):
            self.refused("not_found", self.control.call, "Pools/" + verb, {"name": "nowhere"})

    def test_unknown_service_and_method(self):
        for method in ("Tasks/NoSuch", "Nothing/Get", "Schedules/NoSuch"):
            error = self.refused("unimplemented", self.control.call, method)
            self.assertEqual(error.status, 501)

    def test_unknown_field(self):
        self.invalid("prioritty", {"command": {"argv": ["true"]}, "prioritty": 1})
        self.invalid("argw", {"command": {"argw": ["true"]}})

    def test_unknown_enum_value(self):
        self.invalid("SLEEPING", {"selector": {"states": ["SLEEPING"]}}, "Tasks/List")

    def test_wrong_type(self):
        self.invalid("priority", {"command": {"argv": ["true"]}, "priority": "high"})
        self.invalid("attempts", {"command": {"argv": ["true"]}, "attempts": -1})

    def test_duplicate_keys(self):
        self.invalid("name", b'{"name": "a", "name": "b", "command": {"argv": ["true"]}}')
        self.invalid("argv", b'{"command": {"argv": ["true"], "argv": ["false"]}}')

    def test_broken_json(self):
        for text in (b"{", b"", b"[]", b"nonsense", b'{"name": "x"', b'{"a": }', b"{}x"):
            if text:
                error = self.refused("invalid_argument", self.control.call, "Tasks/Submit", None, text)
                self.assertEqual(error.status, 400)

    def test_invalid_utf8(self):
        self.invalid("byte 10", b'{"name": "\xff\xfe", "command": {"argv": ["true"]}}')

    def test_deep_nesting(self):
        nested = b'{"function": {"name": "x", "args": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
        self.refused("invalid_argument", self.control.call, "Tasks/Submit", None, nested)

    def test_integers_beyond_exact_doubles(self):
        self.invalid("args", b'{"pool": "default", "function": {"name": "f", "args": [9007199254740993]}}')
        self.invalid("kwargs", b'{"pool": "default", "function": {"name": "f", "kwargs": {"k": -9007199254740993}}}')

    def test_work_is_missing_or_doubled(self):
        self.invalid("work", {"name": "x"})
        self.invalid("function", {"command": {"argv": ["true"]}, "function": {"name": "f"}})
        self.invalid("argv", {"command": {}})
        self.invalid("argv", {"command": {"argv": ["true"], "argvBytes": ["dHJ1ZQ=="]}})
        self.invalid("function.name", {"function": {}})

    def test_fields_out_of_their_limits(self):
        command = {"argv": ["true"]}
        self.invalid("name", {"name": "x" * 256, "command": command})
        self.invalid("name", {"name": "a\nb", "command": command})
        self.invalid("key", {"key": "k" * 256, "command": command})
        self.invalid("labels", {"labels": {f"l{i}": "" for i in range(65)}, "command": command})
        self.invalid("labels", {"labels": {"l": "v" * 256}, "command": command})
        self.invalid("cwd", {"command": {"argv": ["true"], "cwd": "relative"}})
        self.invalid("env", {"command": {"argv": ["true"], "env": {"A=B": "x"}}})
        self.invalid("argv", {"command": {"argv": ["a\0b"]}})
        self.invalid("signal", {"id": "x", "signal": 0}, "Tasks/Signal")
        self.invalid("signal", {"id": "x", "signal": 65}, "Tasks/Signal")
        self.invalid("pageSize", {"pageSize": 1001}, "Tasks/List")
        self.invalid("pageToken", {"pageToken": "nonsense"}, "Tasks/List")
        self.invalid("ids", {"ids": []}, "Tasks/Wait")
        self.invalid("ids", {"ids": ["x"] * 10_001}, "Tasks/Wait")
        self.invalid("workers", {"name": "default", "workers": 1001}, "Pools/Scale")
        self.invalid("selector", {}, "Tasks/Cancel")
        self.invalid("selector", {"selector": {}}, "Tasks/Cancel")
        for method in ("List", "Cancel", "Hold", "Release", "Retry", "Prune"):
            error = self.refused("not_found", self.control.call, "Tasks/" + method, {"selector": {"pools": ["default", "defualt"]}})
            self.assertEqual(error.message, "selector.pools: there is no pool 'defualt'")
        self.invalid("tasks", {"tasks": [{}] * 10_001}, "Tasks/SubmitBatch")

    def test_full_queue(self):
        for _ in range(3):
            self.control.submit(["true"], pool="tiny")
        error = self.refused("resource_exhausted", self.control.submit, ["true"], pool="tiny")
        self.assertEqual(error.status, 429)
        self.assertIn("tiny", error.message)
        self.assertEqual(self.control.pool("tiny")["refused"], "1")
        self.assertIn(b'\npoold_submissions_refused_total{pool="tiny"} 1\n', self.control.request("GET", "/metrics")[2])

    def test_wrong_content_type(self):
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/grpc"):
            status, _, _ = self.control.request("POST", "/poold.v1.Daemon/GetInfo", b"{}", {"Content-Type": content_type})
            self.assertEqual(status, 415)
        status, _, _ = self.control.request("POST", "/poold.v1.Daemon/GetInfo", b"{}", {"Content-Type": "application/json; charset=utf-8"})
        self.assertEqual(status, 200)

    def test_get_on_a_call(self):
        status, headers, _ = self.control.request("GET", "/poold.v1.Daemon/GetInfo")
        self.assertEqual((status, headers["Allow"]), (405, "POST"))

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root and setpriv")
    def test_another_user_has_no_permission(self):
        os.chmod(self.here.directory, 0o755)
        os.chmod(self.here.socket, 0o666)
        line = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-sS", "--unix-socket", self.here.socket]
        for arguments in (["http://x/v1/info"], ["http://x/poold.v1.Tasks/List", "-H", "Content-Type: application/json", "-d", "{}"]):
            answer = subprocess.run([*line, "-w", "%{http_code}", *arguments], check=True, capture_output=True, text=True).stdout
            self.assertTrue(answer.endswith("403"), answer)
            self.assertEqual(json.loads(answer[:-3])["code"], "permission_denied")


if __name__ == "__main__":
    unittest.main(verbosity=2)
