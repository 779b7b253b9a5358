"""The control plane as any HTTP client sees it: calls, readable aliases, errors with Connect's codes, limits."""

import json
import signal
import subprocess
import unittest

import harness
import processes
from control import connect, eventually, ndjson_of_chunks


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

    def metrics(self):
        """Every sample by its name with labels, as it is written."""
        text = self.control.request("GET", "/metrics")[2].decode()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))}

    def test_metrics_tell_why_workers_ended_and_what_waits(self):
        cause = lambda name: self.metrics()[f'poold_worker_ends_total{{pool="math",cause="{name}"}}']
        asked = self.control.submit(function="sleep_ms", args=[600_000], pool="math", timeout="0.1s", grace="0.1s")
        self.assertEqual(self.control.wait(asked)[0]["outcome"]["kind"], "TIMED_OUT")
        self.assertEqual((cause("condemned"), cause("asked")), (0, 0), "it listened")
        self.control.call("Pools/Recycle", {"name": "math"})
        eventually(lambda: (cause("condemned"), cause("asked")) == (0, 2), 20 * harness.PATIENCE, "those that are recycled were asked")
        for _ in range(3):
            self.control.submit(["true"], hold=True)
        self.assertEqual(self.metrics()['poold_tasks_waiting{pool="default"}'], 3)
        self.assertEqual(self.metrics()['poold_tasks_queued{pool="default"}'], 0)

    def test_metrics_measure_waits_runs_workers_and_the_loop(self):
        before = self.metrics()
        for argv in (["true"], ["sleep", "0.3"]):
            self.control.run(argv)
        lost = self.control.workers("default")[0]["pid"]
        processes.send(lost, signal.SIGKILL)
        eventually(lambda: self.metrics()['poold_worker_ends_total{pool="default",cause="signaled"}'] == 1, 20 * harness.PATIENCE, "it is counted")
        after = self.metrics()
        for name in ("poold_task_wait_seconds", "poold_task_run_seconds"):
            counts = [value for sample, value in after.items() if sample.startswith(name + '_bucket{pool="default"')]
            self.assertEqual(counts, sorted(counts), "buckets are cumulative")
            self.assertEqual(counts[-1], after[name + '_count{pool="default"}'])
        grown = lambda name: after[name] - before[name]
        self.assertEqual(grown('poold_task_run_seconds_count{pool="default"}'), 2)
        self.assertGreaterEqual(grown('poold_task_run_seconds_sum{pool="default"}'), 0.3)
        self.assertLessEqual(grown('poold_task_run_seconds_bucket{pool="default",le="0.262144"}'), 1)
        self.assertEqual(grown('poold_task_outcomes_total{pool="default",outcome="EXITED"}'), 2)
        self.assertGreaterEqual(after['poold_worker_starts_total{pool="default"}'], 2)
        self.assertGreaterEqual(after["poold_clients"], 1)
        self.assertGreater(grown("poold_loop_turn_seconds_count"), 0)
        self.assertEqual(after["poold_engine_restarts_total"], 0)

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
