"""Who may do what: each role against each call, by real users of the kernel. Needs root, to become them."""

import json
import os
import pathlib
import re
import subprocess
import unittest

import harness
from harness import BIN, Daemon, DaemonTest

# Numbers that no user of this machine has.
SOCKET_GROUP, OTHER_GROUP = 61100, 61200
READER, SUBMITTER, OPERATOR, ADMIN, STRANGER = 61001, 61002, 61003, 61004, 61005

ACCESS = {"read": {"users": [READER]}, "operate": {"groups": [OTHER_GROUP]}, "admin": {"users": [ADMIN]}}
GROUPS = {SUBMITTER: [SOCKET_GROUP], OPERATOR: [OTHER_GROUP]}

COMMAND = {"command": {"argv": ["true"]}}
SCHEDULE = {"schedule": {"name": "x", "spec": "@yearly", "task": COMMAND, "overlap": "QUEUE"}, "replace": True}
READ, SUBMIT, OPERATE, ADMINISTER = {READER, OPERATOR, ADMIN}, {SUBMITTER, OPERATOR, ADMIN}, {OPERATOR, ADMIN}, {ADMIN}
EVERYBODY = READ | SUBMIT

# Call, request, who may. What a task of root's is asked with goes through {id}.
CALLS = [
    ("Daemon/GetInfo", {}, EVERYBODY),
    ("Tasks/Submit", COMMAND, SUBMIT),
    ("Tasks/SubmitBatch", {"tasks": [COMMAND]}, SUBMIT),
    ("Tasks/List", {}, EVERYBODY),
    ("Tasks/Get", {"id": "{id}"}, READ),
    ("Tasks/Wait", {"ids": ["{id}"]}, READ),
    ("Tasks/Logs", {"id": "{id}"}, READ),
    ("Tasks/ListGroups", {}, EVERYBODY),
    ("Tasks/Cancel", {"id": "{id}"}, OPERATE),
    ("Pools/List", {}, READ),
    ("Pools/Get", {"name": "default"}, READ),
    ("Workers/List", {}, READ),
    ("Pools/Pause", {"name": "default"}, OPERATE),
    ("Pools/Resume", {"name": "default"}, OPERATE),
    ("Pools/Scale", {"name": "default", "workers": 2}, OPERATE),
    ("Pools/Drain", {"name": "default"}, OPERATE),
    ("Pools/Recycle", {"name": "default"}, OPERATE),
    ("Daemon/Reload", {}, ADMINISTER),
    ("Daemon/Upgrade", {}, ADMINISTER),
    ("Tasks/Explain", {"id": "{id}"}, READ),
    ("Tasks/Hold", {"id": "{id}"}, OPERATE),
    ("Tasks/Release", {"id": "{id}"}, OPERATE),
    ("Tasks/Retry", {"id": "{id}"}, OPERATE),
    ("Tasks/Prune", {"id": "{id}", "dryRun": True}, OPERATE),
    ("Tasks/Signal", {"id": "{id}", "signal": 15}, OPERATE),
    ("Limits/List", {}, READ),
    ("Limits/Set", {"name": "x", "size": 2}, OPERATE),
    ("Limits/Remove", {"name": "x"}, OPERATE),
    ("Schedules/List", {}, READ),
    ("Schedules/Add", SCHEDULE, OPERATE),
    ("Schedules/Run", {"name": "x"}, OPERATE),
    ("Schedules/Remove", {"name": "x"}, OPERATE),
]
# What there must be before each of these.
REMOVES = {"Limits/Remove": ("Limits/Set", {"name": "x", "size": 2}), "Schedules/Remove": ("Schedules/Add", SCHEDULE)}
# What they may do depends on whose the thing is, and is tested below, thing by thing.
OWNED = {
    *(f"Queues/{method}" for method in ("List", "Create", "Delete", "Put", "Get")),
    *(f"Semaphores/{method}" for method in ("List", "Create", "Delete", "Acquire", "Release")),
    *(f"Processes/{method}" for method in ("Start", "List", "Join", "Kill")),
    "Pools/Create",
    "Pools/Delete",
}
# The task of root's has ended, which is what these say once the caller may ask.
TOO_LATE = ("Tasks/Hold", "Tasks/Release", "Tasks/Retry", "Tasks/Signal")
# Ends the daemon, and so has a test of its own.
STOP = "Daemon/Stop"
ALIASES = [
    ("/v1/info", EVERYBODY),
    ("/healthz", EVERYBODY),
    ("/v1/tasks", EVERYBODY),
    ("/v1/tasks/{id}", READ),
    ("/v1/tasks/{id}/logs", READ),
    ("/v1/pools", READ),
    ("/v1/workers", READ),
    ("/metrics", READ),
]
# Answers that never end, and the upgrade, are asked for below, until their status is there.
ENDLESS = [("/v1/events", READ), ("/v1/stream", EVERYBODY)]


SOURCE = pathlib.Path(__file__).resolve().parents[2]

# Asks for a path with an upgrade, and prints the first line of the answer.
STATUS_LINE = r"""
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
upgrade = "Connection: Upgrade\r\nUpgrade: poold-frames/1\r\n" if sys.argv[2] == "/v1/stream" else ""
connection.sendall(f"GET {sys.argv[2]} HTTP/1.1\r\nHost: poold\r\n{upgrade}\r\n".encode())
print(connection.makefile("rb").readline().decode(), end="")
"""


class GroupDaemon(Daemon):
    """As root with the group that the socket is to have, and open to everybody's connection."""

    def spawn(self):
        self.directory.chmod(0o755)
        effective = os.getegid()
        os.setegid(SOCKET_GROUP)
        try:
            super().spawn()
        finally:
            os.setegid(effective)

    def open_socket(self):
        os.chmod(self.socket, 0o666)
        return self


@unittest.skipUnless(os.geteuid() == 0, "only root can become other users")
class Access(DaemonTest):
    def start(self):
        daemon = GroupDaemon(access=ACCESS)
        self.addCleanup(self._end, daemon)
        daemon.start().wait_ready()
        return daemon.open_socket()

    def as_user(self, daemon, uid, *line, **options):
        return subprocess.run(list(map(str, line)), user=uid, group=uid, extra_groups=GROUPS.get(uid, []), capture_output=True, text=True,
                              check=False, timeout=60 * harness.PATIENCE, cwd="/", env={**os.environ, "POOLD_SOCKET": daemon.socket, "HOME": "/"},
                              **options)

    def call(self, daemon, uid, method, request):
        """The code of the answer: "ok", or Connect's."""
        answer = self.as_user(daemon, uid, "curl", "-s", "--unix-socket", daemon.socket, "-H", "Content-Type: application/json", "-d",
                              json.dumps(request), f"http://poold/poold.v1.{method}")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        return json.loads(answer.stdout).get("code", "ok")

    def test_each_role_against_each_call(self):
        daemon = self.start()
        root = daemon.client()
        mine = root.call("Tasks/Submit", COMMAND)["id"]
        root.call("Tasks/Wait", {"ids": [mine]})
        for method, request, allowed in CALLS:
            request = json.loads(json.dumps(request).replace("{id}", mine))
            for uid in (READER, SUBMITTER, OPERATOR, ADMIN, STRANGER):
                with self.subTest(method=method, uid=uid):
                    if method in REMOVES:
                        root.call(*REMOVES[method])
                    code = self.call(daemon, uid, method, request)
                    if uid in allowed:
                        self.assertEqual(code, "failed_precondition" if method in TOO_LATE else "ok")
                    else:
                        # A task that one may not see is not there.
                        unseen = uid == SUBMITTER and "id" in json.dumps(request) and method.startswith("Tasks/")
                        self.assertEqual(code, "not_found" if unseen else "permission_denied")
            if method == "Pools/Drain":
                root.call("Pools/Resume", {"name": "default"})

    def test_top_shows_everybody_what_they_may_see(self):
        daemon = self.start()
        root = daemon.client()
        root.call("Tasks/Submit", {**COMMAND, "name": "roots", "hold": True})
        self.assertEqual(self.as_user(daemon, SUBMITTER, BIN / "poolctl", "submit", "--hold", "--name", "their-own", "--", "true").returncode, 0)
        for uid, seen, unseen in ((SUBMITTER, ["your tasks only", "their-own"], ["roots"]), (READER, ["default", "roots", "their-own"], ["your tasks only"])):
            frame = self.as_user(daemon, uid, BIN / "poolctl", "top", "--once")
            self.assertEqual(frame.returncode, 0, frame.stderr)
            for word in seen:
                self.assertIn(word, frame.stdout)
            for word in unseen:
                self.assertNotIn(word, frame.stdout)
        stranger = self.as_user(daemon, STRANGER, BIN / "poolctl", "top", "--once")
        self.assertEqual((stranger.returncode, stranger.stdout), (4, ""))

    def test_only_an_admin_stops_the_daemon(self):
        daemon = self.start()
        for uid in (READER, SUBMITTER, OPERATOR, STRANGER):
            self.assertEqual(self.call(daemon, uid, STOP, {}), "permission_denied", uid)
        self.assertEqual(self.call(daemon, ADMIN, STOP, {}), "ok")
        self.assertEqual(daemon.process.wait(60 * harness.PATIENCE), 0)

    def test_no_method_and_no_alias_is_forgotten_here(self):
        declared = set()
        for file in sorted((SOURCE / "common/proto/poold/v1").glob("*.proto")):
            service = None
            for line in file.read_text(encoding="utf-8").splitlines():
                service = (re.match(r"service (\w+)", line) or [None, service])[1]
                if found := re.match(r"\s+rpc (\w+)\(", line):
                    declared.add(f"{service}/{found[1]}")
        self.assertEqual(declared, {method for method, _, _ in CALLS} | OWNED | {STOP})
        sources = "".join(file.read_text(encoding="utf-8") for file in sorted((SOURCE / "daemon/engine/control").glob("*.cpp")))
        routed = set(re.findall(r'\balias\(\s*"([^"]+)"', sources))
        self.assertGreater(len(routed), 8)
        self.assertEqual(routed, {re.sub(r"\{id\}.*", "", path) for path, _ in ALIASES + ENDLESS})

    def test_each_role_against_each_answer_without_end(self):
        daemon = self.start()
        for path, allowed in ENDLESS:
            for uid in (READER, SUBMITTER, OPERATOR, ADMIN, STRANGER):
                with self.subTest(path=path, uid=uid):
                    asked = self.as_user(daemon, uid, "/usr/bin/python3", "-c", STATUS_LINE, daemon.socket, path)
                    good = "101" if path == "/v1/stream" else "200"
                    self.assertEqual(asked.stdout.split()[1:2], [good if uid in allowed else "403"], asked.stderr)

    def test_each_role_against_each_alias(self):
        daemon = self.start()
        root = daemon.client()
        mine = root.call("Tasks/Submit", COMMAND)["id"]
        root.call("Tasks/Wait", {"ids": [mine]})
        for path, allowed in ALIASES:
            for uid in (READER, SUBMITTER, OPERATOR, ADMIN, STRANGER):
                with self.subTest(path=path, uid=uid):
                    answer = self.as_user(daemon, uid, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", daemon.socket,
                                          "http://poold" + path.replace("{id}", mine))
                    unseen = uid == SUBMITTER and "{id}" in path
                    self.assertEqual(answer.stdout, "200" if uid in allowed else "404" if unseen else "403")

    def test_a_member_of_the_group_sees_and_changes_its_own_tasks_only(self):
        daemon = self.start()
        root = daemon.client()
        others = root.call("Tasks/Submit", {"command": {"argv": ["sleep", "60"]}})["id"]
        own = self.as_user(daemon, SUBMITTER, BIN / "poolctl", "submit", "--", "sleep", "60").stdout.strip()
        listed = self.as_user(daemon, SUBMITTER, BIN / "poolctl", "ps", "--json")
        self.assertEqual([task["id"] for task in json.loads(listed.stdout)["tasks"]], [own])
        self.assertEqual(self.call(daemon, SUBMITTER, "Tasks/Cancel", {"id": others}), "not_found")
        # Not even by waiting for it does one learn of it.
        self.assertEqual(self.call(daemon, SUBMITTER, "Tasks/Submit", {"command": {"argv": ["true"]}, "after": [others]}), "not_found")
        self.assertEqual(self.call(daemon, READER, "Tasks/Cancel", {"id": others}), "permission_denied")
        self.assertEqual(self.call(daemon, SUBMITTER, "Tasks/Cancel", {"selector": {"pools": ["default"]}}), "ok")
        self.assertEnded(root.call("Tasks/Wait", {"ids": [own]})["tasks"][0], "CANCELLED")
        self.assertEqual(root.call("Tasks/Get", {"id": others})["task"]["state"], "RUNNING")
        root.call("Tasks/Cancel", {"id": others})

    def test_a_stranger_owns_nothing(self):
        daemon = self.start()
        for method in sorted(OWNED):
            with self.subTest(method=method):
                self.assertEqual(self.call(daemon, STRANGER, method, {}), "permission_denied")

    def test_queues_and_semaphores_are_their_owner_s_unless_shared(self):
        daemon = self.start()
        root = daemon.client()
        for shared in (False, True):
            name = f"shared-{shared}"
            root.call("Queues/Create", {"name": name, "shared": shared})
            root.call("Semaphores/Create", {"name": name, "shared": shared})
            for method, request, allowed in (
                ("Queues/Put", {"queue": name, "messages": [{}], "timeout": "0s"}, OPERATE),
                ("Queues/Get", {"queue": name, "timeout": "0s"}, OPERATE),
                ("Semaphores/Acquire", {"semaphore": name, "timeout": "0s"}, OPERATE),
                ("Semaphores/Release", {"semaphore": name}, OPERATE),
                ("Queues/Delete", {"name": name}, set()),
            ):
                for uid in (READER, SUBMITTER, OPERATOR, STRANGER):
                    if method == "Queues/Delete" and uid == OPERATOR:
                        continue  # may
                    with self.subTest(method=method, uid=uid, shared=shared):
                        code = self.call(daemon, uid, method, request)
                        may = uid in allowed or (shared and uid == SUBMITTER and method != "Queues/Delete")
                        unseen = uid == SUBMITTER and not shared
                        self.assertEqual(code, "ok" if may else "not_found" if unseen else "permission_denied")

    def test_processes_and_made_pools_are_their_owner_s(self):
        daemon = self.start()
        root = daemon.client()
        process = root.call("Processes/Start", {"task": {"command": {"argv": ["sleep", "1000"]}}})["process"]["id"]
        for uid, join, kill in ((READER, "ok", "permission_denied"), (SUBMITTER, "not_found", "not_found"), (OPERATOR, "ok", "ok")):
            self.assertEqual(self.call(daemon, uid, "Processes/Join", {"id": process, "timeout": "0s"}), join)
            self.assertEqual(self.call(daemon, uid, "Processes/Kill", {"id": process, "signal": 10}), kill)
        self.assertEqual(root.call("Processes/Join", {"id": process})["process"]["exitCode"], -10)
        daemon.configure({"default": harness.COMMANDS}, access=ACCESS, templates={"t": harness.COMMANDS})
        root.call("Daemon/Reload")
        root.call("Pools/Create", {"template": "t", "name": "own"})
        self.assertEqual(self.call(daemon, SUBMITTER, "Pools/Create", {"template": "t", "name": "other"}), "ok")
        self.assertEqual(self.call(daemon, SUBMITTER, "Tasks/Submit", {"pool": "other", **COMMAND}), "ok")
        self.assertEqual(self.call(daemon, SUBMITTER, "Tasks/Submit", {"pool": "own", **COMMAND}), "permission_denied")
        self.assertEqual(self.call(daemon, SUBMITTER, "Pools/Delete", {"name": "own"}), "permission_denied")
        self.assertEqual(self.call(daemon, SUBMITTER, "Pools/Delete", {"name": "other"}), "ok")
        self.assertEqual(self.call(daemon, READER, "Pools/Create", {"template": "t"}), "permission_denied")

    def test_a_stream_keeps_to_the_same_rules(self):
        daemon = self.start()
        root = daemon.client()
        others = root.call("Tasks/Submit", {"command": {"argv": ["sleep", "60"]}})["id"]
        ran = self.as_user(daemon, SUBMITTER, BIN / "poolctl", "run", "--", "echo", "hello")
        self.assertEqual((ran.returncode, ran.stdout), (0, "hello\n"), ran.stderr)
        self.assertEqual(self.as_user(daemon, SUBMITTER, BIN / "poolctl", "logs", "-f", others).returncode, 3)
        refused = self.as_user(daemon, READER, BIN / "poolctl", "run", "--", "true")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("role submit", refused.stderr)
        root.call("Tasks/Cancel", {"id": others})

    def test_a_reload_changes_the_roles(self):
        daemon = self.start()
        self.assertEqual(self.call(daemon, STRANGER, "Pools/List", {}), "permission_denied")
        daemon.configure({"default": harness.COMMANDS}, access={"read": {"users": [STRANGER]}})
        self.assertEqual(daemon.poolctl("daemon", "reload").returncode, 0)
        self.assertEqual(self.call(daemon, STRANGER, "Pools/List", {}), "ok")
        self.assertEqual(self.call(daemon, READER, "Pools/List", {}), "permission_denied")


if __name__ == "__main__":
    harness.main()
