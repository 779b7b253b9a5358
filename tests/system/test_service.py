"""poold as a service: the cases run under a booted systemd if one can be booted here, and under a stand-in always. The last line says which."""

import os
import signal
import sys
import threading
import time
import unittest

from stand_in import PATIENCE, StandIn, eventually
import booted
from control import connect

CONFIGURATION = "stop_timeout: 20s\npools:\n  default: {workers: 2}\n"
BROKEN = "pools:\n  default: {workers: many, kind: nonsense}\n"


class Cases:
    """What holds whoever manages the service. `service()` gives one that listens and was not started."""

    def test_the_socket_answers_at_first_use(self):
        service = self.service(CONFIGURATION)
        self.assertEqual(service.main_pid(), 0, "nothing runs yet")
        self.assertEqual(service.client().info()["socket"], service.inside_path())
        service.wait_state("active")
        self.assertIn("Serving on", service.status())

    def test_ready_means_that_clients_are_served(self):
        service = self.service(CONFIGURATION)
        service.start()
        begin = time.monotonic()
        self.assertEqual(service.client().run(["true"])["state"], "SUCCEEDED")
        self.assertLess(time.monotonic() - begin, 5 * PATIENCE)

    def test_a_reload_brings_new_pools(self):
        service = self.service(CONFIGURATION)
        service.start()
        service.configure(CONFIGURATION + "  more: {workers: 1}\n")
        code, said = service.reload()
        self.assertEqual(code, 0, said)
        service.wait_state("active")
        self.assertEqual(service.client().run(["true"], pool="more")["state"], "SUCCEEDED")
        self.assertIn("2 pools", service.status())

    def test_a_reload_with_a_broken_file_fails_and_changes_nothing(self):
        service = self.service(CONFIGURATION)
        service.start()
        eventually(lambda: service.client().pool("default")["ready"] == 2, 20 * PATIENCE, "its workers are ready")
        workers = service.client().workers()
        service.configure(BROKEN)
        code, said = service.reload()
        self.assertNotEqual(code, 0)
        self.assertIn("poold.yaml:2:", said)
        service.wait_state("active")
        # Said beside the answer to poolctl; whoever hears it may read it a moment later.
        eventually(lambda: "the last reload was refused" in service.status(), 20 * PATIENCE, "the status says so")
        self.assertEqual([w["pid"] for w in service.client().workers()], [w["pid"] for w in workers])
        self.assertEqual(service.client().run(["true"])["state"], "SUCCEEDED")

    def test_an_engine_that_stands_still_is_replaced(self):
        service = self.service(CONFIGURATION, watchdog=self.watchdog_short)
        service.start()
        before = service.client().info()
        service.signal(before["enginePid"], signal.SIGSTOP)
        after = service.client(120).info()  # queued in the backlog meanwhile
        self.assertEqual((after["pid"], after["engineRestarts"]), (before["pid"], 1), "the supervisor lives on")
        eventually(lambda: "engine replaced 1 time" in service.status(), 20 * PATIENCE, "the status says so")
        self.assertEqual(service.violence, [])

    def test_a_restart_loses_no_connection(self):
        service = self.service(CONFIGURATION)
        service.start()
        ended = threading.Event()
        self.addCleanup(ended.set)
        answers, failures = [], []

        def ask():
            while not ended.is_set():
                client = service.client()
                try:
                    answers.append(client.info()["pid"])
                except Exception as error:  # every kind of failure is one
                    failures.append(repr(error))
                finally:
                    client.close()

        askers = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for asker in askers:
            asker.start()
        for _ in range(3):
            service.restart()
            count = len(answers)
            eventually(lambda: len(answers) > count + 20, 20 * PATIENCE, "they are answered by the new one")
        ended.set()
        for asker in askers:
            asker.join()
        self.assertEqual(failures, [])
        self.assertGreaterEqual(len(set(answers)), 4, "each daemon answered")

    def test_a_drain_waits_for_running_tasks(self):
        # The manager's own patience is shorter than the task.
        service = self.service(CONFIGURATION, stop_timeout=1)
        service.start()
        done = service.shared("done")
        service.client().submit(["sh", "-c", f"sleep 3; echo done > {done.inside}"])
        eventually(lambda: service.client().pool("default")["running"] == 1, 20 * PATIENCE, "it runs")
        service.stop()
        self.assertTrue(done.outside.exists(), "the task has finished")
        self.assertEqual(service.active_state(), "inactive")
        self.assertEqual(service.violence, [])

    def test_poolctl_daemon_stop_is_no_failure_and_the_socket_stays(self):
        service = self.service(CONFIGURATION)
        service.start()
        service.client().call("Daemon/Stop")
        service.wait_state("inactive")
        self.assertEqual(service.client().run(["true"])["state"], "SUCCEEDED")  # by activation

    def test_a_supervisor_that_was_killed_is_started_again(self):
        service = self.service(CONFIGURATION)
        service.start()
        before = service.main_pid()
        service.signal(before, signal.SIGKILL)
        info = eventually(lambda: (i := self._info(service)) and i["pid"] != service.inside(before) and i, 30 * PATIENCE, "another one answers")
        self.assertEqual(info["engineRestarts"], 0)

    def test_a_supervisor_that_stands_still_is_ended_by_the_watchdog(self):
        service = self.service(CONFIGURATION, watchdog=self.watchdog_short)
        service.start()
        before = service.main_pid()
        service.signal(before, signal.SIGSTOP)
        eventually(lambda: service.main_pid() not in (0, before), 60 * PATIENCE, "it was replaced")
        self.assertEqual(service.client().run(["true"])["state"], "SUCCEEDED")
        service.violence.clear()

    @staticmethod
    def _info(service):
        try:
            return service.client().info()
        except OSError:
            return None


class UnderAStandIn(Cases, unittest.TestCase):
    watchdog_short = 4

    def service(self, configuration, **options):
        service = StandIn(configuration, **options)
        self.addCleanup(service.close)
        return service

    def test_what_is_said_and_in_which_order(self):
        service = self.service(CONFIGURATION)
        service.start()
        service.reload()
        service.wait_state("active")
        service.stop()
        said = [next(iter(message)) for message in service.messages if "WATCHDOG" not in message]
        self.assertEqual([word for word in said if word != "STATUS"], ["READY", "RELOADING", "READY", "STOPPING", "STOPPING"][: len(said)])
        stopping = next(message for message in service.messages if "STOPPING" in message)
        self.assertGreaterEqual(int(stopping["EXTEND_TIMEOUT_USEC"]), 20_000_000)

    def test_the_watchdog_is_fed_in_time(self):
        service = self.service(CONFIGURATION, watchdog=2)
        service.start()
        with service.changed:
            fed = lambda: sum("WATCHDOG" in message for message in service.messages)  # noqa: E731
            self.assertTrue(service.changed.wait_for(lambda: fed() >= 6, 20 * PATIENCE))
        self.assertEqual(service.violence, [])

    def test_the_socket_that_was_passed_is_not_removed(self):
        service = self.service(CONFIGURATION)
        service.start()
        self.assertEqual(service.stop(), 0)
        with connect(service.path):
            pass
        self.assertTrue(os.path.exists(service.path))


@unittest.skipUnless(booted.possible(), booted.reason())
class UnderSystemd(booted.Fixture, Cases, unittest.TestCase):
    watchdog_short = 8

    def test_journal_entries_are_found_by_task_and_pool(self):
        service = self.service(CONFIGURATION + "log_level: debug\n")
        service.start()
        client = service.client()
        lost = client.submit(["sh", "-c", "kill -9 $PPID; sleep 60"], crashAttempts=2)
        client.wait(lost)
        failed = client.run(["false"])["id"]
        found = service.journal(POOLD_TASK_ID=lost)
        self.assertIn("attempt 1 ended WORKER_LOST, and is repeated", found)
        self.assertIn("attempt 2 ended WORKER_LOST", found)
        self.assertIn(lost, service.journal(POOLD_POOL="default", POOLD_OUTCOME="WORKER_LOST"))
        self.assertNotIn(failed, found)
        self.assertIn("attempt 1 ended EXITED", service.journal(POOLD_TASK_ID=failed, _SYSTEMD_UNIT="poold.service"))
        self.assertIn("killed by signal", service.journal(POOLD_WORKER="default/0/1") + service.journal(POOLD_WORKER="default/1/1"))

    def test_units_are_clean(self):
        service = self.service(CONFIGURATION)
        units = ["poold.service", "poold.socket", "poold@own.service", "poold@own.socket"]
        verified = service.machine.run("systemd-analyze", "verify", "--man=yes", *units, check=False)
        self.assertEqual((verified.returncode, verified.stderr), (0, ""))

    def test_exposure_is_small(self):
        service = self.service(CONFIGURATION)
        for unit in ("poold.service", "poold@own.service"):
            said = service.machine.run("systemd-analyze", "security", "--no-pager", "--threshold=20", unit, check=False)
            self.assertEqual(said.returncode, 0, said.stdout[-300:])

    def test_an_instance_beside_the_machines_own(self):
        service = self.service(CONFIGURATION)
        own = service.machine.root / "etc/poold/own.yaml"
        own.write_text("pools:\n  mine: {workers: 1}\n", encoding="utf-8")
        service.machine.run("systemctl", "start", "poold@own.socket")
        self.addCleanup(service.machine.run, "systemctl", "stop", "poold@own.socket", "poold@own.service")
        said = service.machine.run("poolctl", "--socket", "/run/poold/own.sock", "run", "--pool", "mine", "--", "echo", "hello")
        self.assertEqual(said.stdout, "hello\n")
        self.assertEqual(service.machine.run("poolctl", "run", "--", "id", "-un").stdout, "poold\n")

    def test_one_users_own_instance(self):
        service = self.service(CONFIGURATION)
        run = service.machine.run
        run("sh", "-c", "id u4711 || useradd --create-home --uid 4711 u4711")
        run("systemctl", "start", "user@4711.service")
        self.addCleanup(run, "systemctl", "stop", "user@4711.service", check=False)
        verified = run("systemd-analyze", "--user", "verify", "--man=yes", "poold.service", "poold.socket", check=False, user=4711)
        self.assertEqual((verified.returncode, verified.stderr), (0, ""))
        run("systemctl", "--user", "start", "poold.socket", user=4711)
        self.assertEqual(run("poolctl", "run", "--", "id", "-un", user=4711).stdout, "u4711\n")
        self.assertIn("/run/user/4711/poold/control.sock", run("poolctl", "daemon", "info", user=4711).stdout)
        run("systemctl", "--user", "reload", "poold.service", user=4711)
        self.assertEqual(run("systemctl", "--user", "is-active", "poold.service", user=4711).stdout, "active\n")
        run("systemctl", "--user", "stop", "poold.service", user=4711)

    def test_a_daemon_of_root_has_pools_of_others(self):
        """With the lines that the shipped hardening names for it."""
        service = self.service(CONFIGURATION + "  other: {workers: 1, user: nobody, cwd: /, nice: -5}\n")
        hardening = (service.machine.root / "lib/systemd/system/poold.service.d/50-hardening.conf").read_text(encoding="utf-8")
        named = hardening.split("need a daemon of root:\n")[1].split("\n# Tasks cannot")[0].split("\n")
        lines = [line.removeprefix("#").strip() for line in named if line.startswith("#     ")]
        self.assertGreaterEqual(len(lines), 4, hardening)
        service.drop_in("root", "[Service]\n" + "\n".join(lines) + "\n")
        said = service.machine.run("poolctl", "run", "--pool", "other", "--", "sh", "-c", "id -un; nice")
        self.assertEqual(said.stdout, "nobody\n-5\n", service.log())
        self.assertEqual(service.machine.run("poolctl", "run", "--", "id", "-un").stdout, "root\n")
        # The next test's daemon is another user's again, and could not open it.
        service.machine.run("rm", "-f", "/run/poold/control.sock.lock")

    def test_strangers_are_not_let_in(self):
        service = self.service(CONFIGURATION)
        service.start()
        refused = service.machine.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "poolctl", "--socket", "/run/poold/control.sock",
                                      "ps", check=False)
        self.assertEqual(refused.returncode, 4, refused.stderr)

    def test_the_package_is_replaced_while_tasks_wait_and_run(self):
        """In memory pools, too: another engine takes over from the one that runs."""
        service = self.service(CONFIGURATION)
        service.start()
        machine, client = service.machine, service.client()
        before = client.info()
        held = client.submit(["echo", "held"], hold=True)
        fifo = service.shared("fifo")
        os.mkfifo(fifo.outside)
        os.chmod(fifo.outside, 0o666)
        running = client.submit(["sh", "-c", f"read word < {fifo.inside}; echo $word"])
        eventually(lambda: client.task(running)["state"] == "RUNNING", 20 * PATIENCE, "it runs")
        client.close()
        machine.run("dpkg", "--install", f"/{machine.package}")
        client = service.client()
        eventually(lambda: service.client().info()["enginePid"] != before["enginePid"], 20 * PATIENCE, "there is another engine")
        self.assertEqual(service.client().info()["pid"], before["pid"], "the service was not restarted")
        fifo.outside.write_text("word\n", encoding="utf-8")
        self.assertEqual(service.client().wait(running)[0]["attempt"], 1)
        service.client().call("Tasks/Release", {"id": held})
        self.assertEqual(service.client().wait(held)[0]["state"], "SUCCEEDED")
        said = machine.run("dpkg-deb", "--field", f"/{machine.package}", "Recommends").stdout
        for package in ("python3-protobuf", "python3-cloudpickle"):
            self.assertIn(package, said)

    def test_zz_the_package_leaves_nothing_behind(self):
        """Last: it takes the package away, and puts it back."""
        service = self.service(CONFIGURATION)
        service.start()
        machine = service.machine
        machine.run("dpkg", "--remove", "poold")
        self.assertEqual(machine.run("systemctl", "is-active", "poold.socket", check=False).stdout.strip(), "inactive")
        self.assertTrue((machine.root / "etc/poold/poold.yaml").exists(), "a removal keeps the configuration")
        machine.run("dpkg", "--purge", "poold")
        for path in ("etc/poold/poold.yaml", "var/lib/poold", "usr/bin/poold", "etc/systemd/system/sockets.target.wants/poold.socket"):
            self.assertFalse(os.path.lexists(machine.root / path), path)
        machine.run("dpkg", "--install", f"/{machine.package}")
        self.assertEqual(machine.run("poolctl", "run", "--", "echo", "again").stdout, "again\n")


def setUpModule():
    print(f"systemd: {booted.reason() or 'booted over an overlay of this machine'}; and a stand-in for it", file=sys.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
