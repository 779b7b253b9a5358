"""The control plane as any HTTP client sees it: calls, readable aliases, errors with Connect's codes, limits."""

import json
import os
import shutil
import subprocess
import unittest

import harness
from control import Control, connect, eventually
from frames import read_to_end

JSON = "Content-Type: application/json\r\n"


def request_text(target, body=b"", method="POST", headers=JSON):
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Calls(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": harness.COMMANDS, "math": harness.FUNCTIONS}).wait_ready()
        self.control = self.here.client()

    def test_submit_wait_get_list_cancel(self):
        task_id = self.control.submit(["sh", "-c", "exit 4"], name="four")
        self.assertRegex(task_id, r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        waited = self.control.call("Tasks/Wait", {"ids": [task_id], "timeout": "10s"})["tasks"]
        self.assertEqual(waited, [self.control.task(task_id)])
        self.assertEnded(waited[0], "EXITED", exitCode=4)
        self.assertEqual(self.control.call("Tasks/List")["tasks"][0]["id"], task_id)
        self.assertEqual(self.control.call("Tasks/Cancel", {"id": task_id})["ids"], [])

    def test_ids_sort_by_time(self):
        ids = [self.control.submit(["true"]) for _ in range(50)]
        self.assertEqual(ids, sorted(ids))

    def test_batch_answers_each_task_by_itself(self):
        tasks = [{"command": {"argv": ["true"]}}, {"pool": "nowhere", "command": {"argv": ["true"]}}, {"command": {"argv": ["false"]}}]
        answer = self.control.call("Tasks/SubmitBatch", {"tasks": tasks})["tasks"]
        self.assertEqual([entry["code"] for entry in answer], ["", "not_found", ""])
        states = [task["state"] for task in self.control.wait(answer[0]["id"], answer[2]["id"])]
        self.assertEqual(states, ["SUCCEEDED", "FAILED"])

    def test_wait_for_any_and_wait_that_times_out(self):
        slow, quick = self.control.submit(["sleep", "100"]), self.control.submit(["true"])
        tasks = self.control.call("Tasks/Wait", {"ids": [slow, quick], "any": True})["tasks"]
        self.assertEqual(tasks[1]["state"], "SUCCEEDED")
        tasks = self.control.call("Tasks/Wait", {"ids": [quick, slow], "timeout": "0.05s"})["tasks"]
        self.assertEqual([t["state"] for t in tasks], ["SUCCEEDED", "RUNNING"])
        self.control.call("Tasks/Cancel", {"id": slow})

    def test_wait_ends_when_the_task_ends(self):
        task_id = self.control.submit(["sleep", "0.3"])
        self.assertEqual(self.control.wait(task_id)[0]["state"], "SUCCEEDED")

    def test_list_is_paged_and_filtered(self):
        ids = [self.control.submit(["true"], name=f"n{i % 3}", labels={"i": str(i % 2)}) for i in range(30)]
        self.control.wait(*ids)
        listed, token, pages = [], "", 0
        while True:
            answer = self.control.call("Tasks/List", {"pageSize": 7, "pageToken": token})
            listed += [task["id"] for task in answer["tasks"]]
            token, pages = answer["nextPageToken"], pages + 1
            if not token:
                break
        self.assertEqual(listed, ids[::-1])
        self.assertGreaterEqual(pages, 5)

        def select(**selector):
            return {task["id"] for task in self.control.call("Tasks/List", {"selector": selector})["tasks"]}

        self.assertEqual(select(names=["n1"]), set(ids[1::3]))
        self.assertEqual(select(names=["n1"], labels={"i": "0"}), set(ids[1::3]) & set(ids[0::2]))
        self.assertEqual(select(states=["FAILED", "QUEUED"]), set())
        self.assertEqual(select(pools=["math"]), set())
        self.assertEqual(select(ids=ids[3:5]), set(ids[3:5]))
        middle = self.control.task(ids[15])["submittedAt"]
        self.assertTrue(set(ids[16:]) <= select(since=middle))
        self.assertTrue(select(until=middle) <= set(ids[:15]))

    def test_keys(self):
        spec = {"key": "once", "command": {"argv": ["true"]}}
        first, second = self.control.call("Tasks/Submit", spec), self.control.call("Tasks/Submit", spec)
        self.assertEqual(first["id"], second["id"])
        self.assertTrue(second["duplicate"])
        spec["command"]["argv"] = ["false"]
        self.refused("already_exists", self.control.call, "Tasks/Submit", spec)

    def test_binary_protobuf(self):
        status, headers, body = self.control.request(
            "POST", "/poold.v1.Daemon/GetInfo", b"", {"Content-Type": "application/proto"})
        self.assertEqual((status, headers["Content-Type"]), (200, "application/proto"))
        self.assertIn(self.control.info()["version"].encode(), body)
        status, headers, body = self.control.request(
            "POST", "/poold.v1.Tasks/Get", b"\x0a\x01x", {"Content-Type": "application/proto"})
        self.assertEqual((status, headers["Content-Type"]), (404, "application/json"))
        self.assertEqual(json.loads(body)["code"], "not_found")

    def test_curl(self):
        def curl(*arguments):
            line = ["curl", "-sS", "--unix-socket", self.here.socket, *arguments]
            return json.loads(subprocess.run(line, check=True, capture_output=True).stdout)

        base = "http://localhost/poold.v1."
        body = ["-H", "Content-Type: application/json", "-d"]
        task_id = curl(base + "Tasks/Submit", *body, '{"command": {"argv": ["true"]}}')["id"]
        waited = curl(base + "Tasks/Wait", *body, json.dumps({"ids": [task_id]}))
        self.assertEqual(waited["tasks"][0]["state"], "SUCCEEDED")
        self.assertEqual(curl(base + "Tasks/Get", *body, json.dumps({"id": "x"}))["code"], "not_found")
        self.assertEqual(curl(base + "Tasks/List", *body, "{}")["tasks"][0]["id"], task_id)
        large = json.dumps({"command": {"argv": ["true"], "stdin": "A" * 4_000_000}})
        self.here.directory.joinpath("body").write_text(large, encoding="utf-8")
        self.assertIn("id", curl(base + "Tasks/Submit", *body, f"@{self.here.directory}/body"))  # with Expect: 100-continue


class Aliases(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": harness.COMMANDS, "math": harness.FUNCTIONS}).wait_ready()
        self.control = self.here.client()

    def test_each_answers_as_its_call(self):
        task = self.control.run(["echo", "hi"])
        self.assertEqual(self.control.get("/v1/tasks"), self.control.call("Tasks/List"))
        self.assertEqual(self.control.get(f"/v1/tasks/{task['id']}"), self.control.call("Tasks/Get", {"id": task["id"]}))
        self.assertEqual(self.control.get("/v1/pools"), self.control.call("Pools/List"))
        self.assertEqual(self.control.get("/v1/workers"), self.control.call("Workers/List"))
        self.assertEqual(self.control.get("/v1/info"), self.control.info())

    def test_default_values_are_printed(self):
        pool = self.control.get("/v1/pools")["pools"][0]
        expected = {"name": "default", "queued": 0, "state": "READY", "kind": "COMMAND", "durability": "MEMORY"}
        self.assertEqual({name: pool[name] for name in expected}, expected)
        worker = self.control.get("/v1/workers")["workers"][0]
        self.assertEqual((worker["taskId"], worker["state"], worker["slot"], worker["generation"]), ("", "IDLE", 0, 1))

    def test_unknown_paths_and_ids(self):
        self.refused("not_found", self.control.get, "/v1/tasks/nonsense")
        self.refused("not_found", self.control.get, "/v1/tasks/01920000-0000-7000-8000-000000000000")
        self.assertEqual(self.refused("not_found", self.control.get, "/v1/nothing").status, 404)
        self.assertEqual(self.control.request("GET", "/")[0], 404)

    def test_wrong_method_on_an_alias(self):
        status, headers, _ = self.control.request("POST", "/v1/info", b"{}")
        self.assertEqual((status, headers["Allow"]), (405, "GET"))

    def test_info(self):
        info = self.control.info()
        self.assertEqual((info["pid"], info["enginePid"]), (self.here.pid, self.here.engine().pid))
        self.assertEqual((info["engineRestarts"], info["stopping"], info["socket"]), (0, False, self.here.socket))
        self.assertEqual(info["stateDirectory"], str(self.here.state))
        self.assertEqual(info["configuration"], str(self.here.config))
        self.assertEqual(info["limits"]["frameBytes"], 16 << 20)
        self.assertEqual(info["limits"]["headerBytes"], 16 << 10)

    def test_healthz(self):
        self.assertEqual(self.control.request("GET", "/healthz")[0], 200)

    def test_metrics_are_the_counts_of_the_pools(self):
        for argv in (["true"], ["true"], ["false"]):
            self.control.run(argv)
        status, headers, body = self.control.request("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/plain"), headers["Content-Type"])
        text = body.decode()
        for line in text.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) poold_\w+ .+|poold_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [-+0-9.e]+)$')
        default = [line for line in text.splitlines() if 'pool="default"' in line]
        self.assertTrue(any("succeeded" in line and line.endswith(" 2") for line in default), default)
        self.assertTrue(any("failed" in line and line.endswith(" 1") for line in default), default)

    def test_events_tell_each_change_of_state(self):
        connection = connect(self.here.socket, 30 * harness.PATIENCE)
        connection.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        reader = connection.makefile("rb")
        while reader.readline().strip():
            pass  # the head
        events = ndjson_of_chunks(reader)
        task_id = self.control.submit(["sh", "-c", "exit 1"], attempts=2)
        seen = []
        for event in events:
            self.assertEqual(event["id"], task_id)
            self.assertEqual(event["pool"], "default")
            seen.append((event["state"], event["attempt"]))
            if event["state"] == "FAILED":
                self.assertEqual(event["outcome"], "EXITED")
                break
        self.assertEqual(seen, [("QUEUED", 0), ("RUNNING", 1), ("QUEUED", 1), ("RUNNING", 2), ("FAILED", 2)])
        connection.close()

    def test_logs_that_go_on(self):
        task_id = self.control.submit(["sh", "-c", "echo one; sleep 0.2; echo two >&2"])
        connection = connect(self.here.socket, 30 * harness.PATIENCE)
        connection.sendall(f"GET /v1/tasks/{task_id}/logs?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        reader = connection.makefile("rb")
        while reader.readline().strip():
            pass
        text = json.dumps(list(ndjson_of_chunks(reader)))
        self.assertIn("b25lCg==", text)  # one\n
        self.assertIn("dHdvCg==", text)  # two\n
        connection.close()


def ndjson_of_chunks(reader):
    """The JSON lines of a chunked HTTP body, as they arrive."""
    line = b""
    while True:
        size = int(reader.readline().split(b";")[0], 16)
        if size == 0:
            return
        data = reader.read(size)
        reader.readline()
        line += data
        while b"\n" in line:
            one, _, line = line.partition(b"\n")
            if one.strip():
                yield json.loads(one)


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
        for method in ("Tasks/Retry", "Tasks/NoSuch", "Nothing/Get", "Queues/List"):
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
        self.invalid("tasks", {"tasks": [{}] * 10_001}, "Tasks/SubmitBatch")

    def test_full_queue(self):
        for _ in range(3):
            self.control.submit(["true"], pool="tiny")
        error = self.refused("resource_exhausted", self.control.submit, ["true"], pool="tiny")
        self.assertEqual(error.status, 429)
        self.assertIn("tiny", error.message)
        self.assertEqual(self.control.pool("tiny")["refused"], "1")

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


class Http(harness.DaemonTest):
    """Bytes on the wire, well-formed and not."""

    def setUp(self):
        self.here = self.daemon().wait_ready()

    def exchange(self, data, seconds=20):
        with connect(self.here.socket) as connection:
            try:
                connection.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return read_to_end(connection, seconds * harness.PATIENCE)

    def assertUnharmed(self):
        self.assertEqual(self.here.client().run(["true"])["state"], "SUCCEEDED")

    def test_keep_alive(self):
        control = self.here.client()
        control.info()
        first = control.connection.sock
        for _ in range(20):
            control.info()
        self.assertIs(control.connection.sock, first)

    def test_pipelined_requests_are_answered_in_order(self):
        control = self.here.client()
        slow = control.submit(["sleep", "0.3"])
        wait = request_text("/poold.v1.Tasks/Wait", json.dumps({"ids": [slow]}).encode())
        info = request_text("/poold.v1.Daemon/GetInfo", b"{}")
        missing = request_text("/poold.v1.Tasks/Get", b'{"id": "x"}', headers=JSON + "Connection: close\r\n")
        answer = self.exchange(wait + info + missing).decode()
        places = [answer.index(word) for word in ('"SUCCEEDED"', '"enginePid"', '"not_found"')]
        self.assertEqual(places, sorted(places))
        self.assertEqual(answer.count("HTTP/1.1 "), 3)

    def test_chunked_body(self):
        body = b'{"command": {"argv": ["true"]}}'
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:6], body[6:])) + b"0\r\n\r\n"
        head = f"POST /poold.v1.Tasks/Submit HTTP/1.1\r\nHost: x\r\n{JSON}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        self.assertIn(b'"id"', self.exchange(head.encode() + chunks))

    def test_request_byte_by_byte(self):
        with connect(self.here.socket) as connection:
            for byte in request_text("/poold.v1.Daemon/GetInfo", b"{}", headers=JSON + "Connection: close\r\n"):
                connection.send(bytes([byte]))
            self.assertIn(b'"enginePid"', read_to_end(connection, 20))

    def test_http_1_0(self):
        self.assertIn(b'"enginePid"', self.exchange(b"GET /v1/info HTTP/1.0\r\n\r\n"))

    def test_header_block_above_its_limit(self):
        answer = self.exchange(b"GET /v1/info HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * (17 << 10) + b"\r\n\r\n")
        self.assertRegex(answer, rb"^HTTP/1.1 (431|400) ")
        answer = self.exchange(b"GET /v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: " + b"x" * (15 << 10) + b"\r\n\r\n")
        self.assertRegex(answer, rb"^HTTP/1.1 200 ")
        self.assertUnharmed()

    def test_header_that_never_ends(self):
        self.exchange(b"GET /v1/info HTTP/1.1\r\n" + b"X: y\r\n" * 1_000_000)
        self.assertUnharmed()

    def test_body_above_its_limit(self):
        head = f"POST /poold.v1.Tasks/Submit HTTP/1.1\r\nHost: x\r\n{JSON}Content-Length: {1 << 40}\r\n\r\n"
        answer = self.exchange(head.encode() + b"{" + b" " * 100_000)
        self.assertRegex(answer, rb"^HTTP/1.1 (413|429) ")
        self.assertIn(b"resource_exhausted", answer)
        self.assertUnharmed()

    def test_half_a_header_is_closed_after_five_seconds(self):
        import time

        with connect(self.here.socket) as connection:
            connection.sendall(b"GET /v1/info HTTP/1.1\r\nHost: ")
            begin = time.monotonic()
            read_to_end(connection, 20 * harness.PATIENCE)
            self.assertGreater(time.monotonic() - begin, 4)
            self.assertLess(time.monotonic() - begin, 8 * harness.PATIENCE)

    def test_idle_connection_is_kept(self):
        import time

        control = self.here.client()
        control.info()
        used = control.connection.sock
        deadline = time.monotonic() + 6
        eventually(lambda: time.monotonic() > deadline, 10, "six seconds pass")
        control.info()
        self.assertIs(control.connection.sock, used)

    def test_garbage(self):
        for data in (b"\0" * 1000, b"\xff\xfe\xfd" * 100 + b"\r\n\r\n", b"HELLO\r\n\r\n", b"GET\r\n\r\n", os.urandom(5000) + b"\r\n\r\n"):
            answer = self.exchange(data)
            self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200])
        self.assertUnharmed()

    def test_conflicting_lengths(self):
        both = "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"
        for headers in ("Content-Length: 2\r\nContent-Length: 3\r\n", "Content-Length: -1\r\n", both):
            answer = self.exchange(f"POST /poold.v1.Daemon/GetInfo HTTP/1.1\r\nHost: x\r\n{JSON}{headers}\r\n".encode() + b"{}")
            self.assertRegex(answer, rb"^HTTP/1.1 4", headers)

    def test_client_that_leaves_while_it_waits(self):
        control = self.here.client()
        slow = control.submit(["sleep", "100"])
        for _ in range(20):
            with connect(self.here.socket) as connection:
                connection.sendall(request_text("/poold.v1.Tasks/Wait", json.dumps({"ids": [slow]}).encode()))
        self.assertUnharmed()
        control.call("Tasks/Cancel", {"id": slow})

    def test_client_that_never_reads_its_answers(self):
        import time

        control = self.here.client()
        control.wait(*[control.submit(["true"], name="x" * 255) for _ in range(300)])
        with connect(self.here.socket, 0.5) as connection:
            request = request_text("/poold.v1.Tasks/List", b'{"pageSize": 1000}')
            sent, end = 0, time.monotonic() + 20
            try:
                while sent < 64 << 20 and time.monotonic() < end:
                    sent += connection.send(request * 100)
            except (TimeoutError, BrokenPipeError, ConnectionResetError):
                pass
            self.assertLess(sent, 64 << 20)  # back-pressure, not memory
            self.assertUnharmed()


if __name__ == "__main__":
    unittest.main(verbosity=2)
