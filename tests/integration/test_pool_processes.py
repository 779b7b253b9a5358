"""How a pool's processes run: whose they are, their limits, what they may run, what becomes of their output."""

import os
import pathlib
import pwd
import unittest

import harness
from control import eventually

AS_ROOT = unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")


class Processes(harness.DaemonTest):
    def run_in(self, pool, script):
        """What a shell says in a daemon with this pool."""
        here = self.daemon({"default": {**harness.COMMANDS, **pool}}, start=False)
        here.directory.chmod(0o755)  # another user must get to its logs
        control = here.start().wait_ready().client()
        task = control.run(["sh", "-c", script])
        self.assertEnded(task, "EXITED", exitCode=0)
        return control.output(task["id"])[0].decode()

    def test_umask_nice_and_limits_reach_commands(self):
        pool = {"umask": "0027", "nice": 7, "rlimits": {"nofile": 77, "core": 0, "cpu": "1h", "fsize": "8MiB"}}
        said = self.run_in(pool, "umask; nice; ulimit -n; ulimit -c; ulimit -t; ulimit -f")
        self.assertEqual(said.split(), ["0027", "7", "77", "0", "3600", str(8 << 11)])

    def test_limits_reach_workers(self):
        here = self.daemon({"math": {**harness.FUNCTIONS, "rlimits": {"nofile": 99}}}).wait_ready()
        pid = here.client().workers()[0]["pid"]
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text(encoding="utf-8")
        self.assertRegex(limits, r"Max open files\s+99\s+99")

    def test_a_changed_limit_replaces_the_workers(self):
        here = self.daemon({"default": {**harness.COMMANDS, "rlimits": {"nofile": 77}}}).wait_ready()
        control = here.client()
        here.configure({"default": {**harness.COMMANDS, "rlimits": {"nofile": 78}}})
        control.call("Daemon/Reload")

        def limit():
            return control.output(control.run(["sh", "-c", "ulimit -n"])["id"])[0]

        eventually(lambda: limit() == b"78\n", 10 * harness.PATIENCE, "the new limit")

    @AS_ROOT
    def test_a_user_of_its_own(self):
        said = self.run_in({"user": "nobody", "cwd": "/"}, "id -u; id -g; id -G; echo $USER $HOME; umask")
        nobody = pwd.getpwnam("nobody")
        groups = " ".join(str(group) for group in os.getgrouplist("nobody", nobody.pw_gid))
        self.assertEqual(said.split("\n")[:4], [str(nobody.pw_uid), str(nobody.pw_gid), groups, f"nobody {nobody.pw_dir}"])

    @AS_ROOT
    def test_users_do_not_read_each_others_output(self):
        pools = {"one": {**harness.COMMANDS, "user": "nobody", "cwd": "/"}, "two": {**harness.COMMANDS, "user": "games", "cwd": "/"},
                 "default": {**harness.COMMANDS, "cwd": "/"}}
        here = self.daemon(pools, start=False)
        here.directory.chmod(0o755)
        here.start().wait_ready()
        control = here.client()
        for owner in ("one", "default"):
            task = control.run(["echo", "secret"], pool=owner)
            self.assertEqual(control.output(task["id"])[0], b"secret\n")
            log = here.state / "logs" / owner / f"{task['id']}.1.log"
            self.assertTrue(log.exists())
            spy = control.run(["sh", "-c", f"cat {log} || ls {log.parent} || ls {here.state}"], pool="two")
            self.assertNotEqual(spy["outcome"]["exitCode"], 0)

    @AS_ROOT
    def test_logs_that_a_user_cannot_get_to_are_complained_of(self):
        here = self.daemon({"default": {**harness.COMMANDS, "user": "nobody", "cwd": "/"}})
        self.assertIn(f"pool default: its user nobody cannot get to its logs: {here.directory} lets nobody through", here.log())

    @AS_ROOT
    def test_functions_of_another_user(self):
        here = self.daemon({"math": {**harness.FUNCTIONS, "user": "nobody", "cwd": "/"}})
        control = here.client()
        task = control.wait(control.submit(function="add", args=[1, 2], pool="math"))[0]
        self.assertEnded(task, "RETURNED", value=3)
        worker = control.workers()[0]["pid"]
        self.assertEqual(os.stat(f"/proc/{worker}").st_uid, pwd.getpwnam("nobody").pw_uid)

    @AS_ROOT
    def test_a_cancel_reaches_another_users_command(self):
        here = self.daemon({"default": {**harness.COMMANDS, "user": "nobody", "cwd": "/", "grace": "200ms"}}).wait_ready()
        control = here.client()
        task_id = control.submit(["sh", "-c", "trap '' TERM; sleep 60"])
        eventually(lambda: control.task(task_id)["state"] == "RUNNING", what="it runs")
        control.call("Tasks/Cancel", {"id": task_id})
        self.assertEqual(control.wait(task_id)[0]["state"], "CANCELLED")

    def test_what_the_kernel_refuses_is_said(self):
        # Nobody is above the system's own highest number of descriptors.
        here = self.daemon({"default": {**harness.COMMANDS, "rlimits": {"nofile": "infinity"}}})
        pool = eventually(lambda: (p := here.client().pool("default"))["state"] == "THROTTLED" and p, 20 * harness.PATIENCE, "it is throttled")
        self.assertIn("rlimits.nofile", str(pool["startError"]))


class Allowed(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"default": {**harness.COMMANDS, "allow": ["/usr/bin/printf", "/usr/bin/env"]}}).wait_ready()
        self.control = self.here.client()

    def test_listed_programs_run_by_path_and_by_name(self):
        for program in ("/usr/bin/printf", "printf"):
            task = self.control.run([program, "x"])
            self.assertEqual(self.control.output(task["id"])[0], b"x")

    def test_a_path_set_by_the_task_changes_nothing(self):
        trap = self.here.directory / "printf"
        trap.write_text("#!/bin/sh\necho trapped\n", encoding="utf-8")
        trap.chmod(0o755)
        task_id = self.control.submit(["printf", "x"], command={"env": {"PATH": str(self.here.directory)}, "cwd": str(self.here.directory)})
        self.control.wait(task_id)
        self.assertEqual(self.control.output(task_id)[0], b"x")

    def test_all_others_are_refused_by_name(self):
        link = self.here.directory / "link"
        link.symlink_to("/usr/bin/printf")
        for program in ("sh", "/bin/sh", "/usr/bin/../bin/printf", "./printf", "bin/printf", str(link), "/usr/bin/printf/"):
            with self.subTest(program):
                error = self.refused("permission_denied", self.control.submit, [program])
                self.assertIn(f"'{program}' is not allowed in pool 'default'", error.message)

    def test_loader_variables_are_refused(self):
        error = self.refused("permission_denied", self.control.submit, ["printf", "x"], command={"env": {"LD_PRELOAD": "/tmp/x.so"}})
        self.assertIn("command.env[LD_PRELOAD]", error.message)

    def test_poolctl_says_so(self):
        ended = self.here.poolctl("run", "--", "sh", "-c", "true")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("'sh' is not allowed in pool 'default'", ended.stderr)


class Output(harness.DaemonTest):
    def test_discarded_output_is_nowhere(self):
        here = self.daemon({"default": {**harness.COMMANDS, "output": "discard"}}).wait_ready()
        control = here.client()
        task = control.run(["sh", "-c", "echo much; echo more >&2; exit 3"])
        self.assertEnded(task, "EXITED", exitCode=3)
        self.assertEqual(control.output(task["id"]), (b"", b""))
        self.assertEqual([path for path in (here.state / "logs").rglob("*") if path.is_file()], [])
        ended = here.poolctl("run", "--", "echo", "much")
        self.assertEqual((ended.returncode, ended.stdout), (0, ""))


if __name__ == "__main__":
    harness.main()
