"""poold.multiprocessing.Process(pool="name"): processes of their own in a daemon that runs, started and watched by scripts as users write them."""

import os
import signal
import subprocess
import textwrap
import unittest

import harness
import processes
from control import eventually
from python_pool import PACKAGE, PYTHON, Fifo, python_pool
from python_scripts import run


class Dedicated(harness.DaemonTest):
    def setUp(self):
        self.here = self.daemon({"py": python_pool(accept="pickle", workers=0, processes=2), "strict": python_pool(workers=0)}).wait_ready()
        self.control = self.here.client()

    def script(self, text):
        """Its stdout; it must end well, and print nothing else."""
        code, stdout, stderr = run(text, POOLD_SOCKET=str(self.here.socket))
        self.assertEqual((code, stderr), (0, ""))
        return stdout

    def popen(self, text):
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "POOLD_SOCKET": str(self.here.socket)}
        process = subprocess.Popen([PYTHON, "-c", textwrap.dedent(text)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def listed(self):
        return self.control.call("Processes/List").get("processes", [])

    def test_a_function_of_the_script_runs_in_the_daemon(self):
        printed = self.script("""\
            import os
            from poold import Client
            from poold.multiprocessing import Process
            GREETING = "Hello"
            def greet(name, mark="."):
                print(f"{GREETING} {name}{mark}", os.getppid())
            p = Process(target=greet, args=("Ann",), kwargs={"mark": "!"}, name="greeter", pool="py")
            print(p.task_id, p.exitcode)
            p.start()
            p.join()
            print(p.exitcode, p.is_alive(), p.name, p.pid > 0)
            with Client() as client:
                print(client.get(p.task_id).name)
                print(b"".join(chunk.data for chunk in client.logs(p.task_id)).decode(), end="")
        """)
        self.assertEqual(printed, f"None None\n0 False greeter True\ngreeter\nHello Ann! {self.here.pid}\n")

    def test_a_class_with_run_and_what_it_was_given(self):
        where = self.here.directory / "said"
        printed = self.script(f"""\
            from poold.multiprocessing import Process, current_process
            class Writer(Process):
                def __init__(self, words, **settings):
                    super().__init__(**settings)
                    self.words = words
                def run(self):
                    with open({str(where)!r}, "w") as file:
                        print(*self.words, type(self).__name__, current_process().name, file=file)
            writer = Writer(["one", "two"], name="w", pool="py")
            writer.start()
            writer.join()
            print(writer.exitcode)
        """)
        self.assertEqual(printed, "0\n")
        self.assertEqual(where.read_text(encoding="utf-8"), "one two Writer w\n")

    def test_exit_codes_are_those_of_a_child(self):
        printed = self.script("""\
            import os, signal, sys
            from poold import Client
            from poold.multiprocessing import Process
            def end(how):
                print("begun")
                how()
            def fail():
                raise ValueError("bad")
            for how in (lambda: 7, fail, lambda: sys.exit(), lambda: sys.exit(3), lambda: sys.exit("sorry")):
                p = Process(target=end, args=(how,), name="ends", pool="py")
                p.start()
                p.join()
                log = b"".join(chunk.data for chunk in Client().logs(p.task_id)).decode().splitlines()
                print(p.exitcode, log[-1])
            for how in (lambda: os._exit(4), lambda: os.kill(os.getpid(), signal.SIGKILL)):
                p = Process(target=how, pool="py")
                p.start()
                p.join()
                print(p.exitcode)
        """)
        self.assertEqual(printed.splitlines(), ["0 begun", "1 ValueError: bad", "0 begun", "3 begun", "1 sorry", "4", "-9"])

    def test_join_in_time_sentinel_and_kill(self):
        printed = self.script("""\
            import time
            from poold.multiprocessing import Process, active_children
            from poold.multiprocessing.connection import wait
            p = Process(target=time.sleep, args=(600,), pool="py")
            p.start()
            p.join(0.05)
            print(p.is_alive(), p.exitcode, wait([p.sentinel], 0), active_children() == [p])
            p.kill()
            print(wait([p.sentinel]) == [p.sentinel])
            p.join()
            print(p.is_alive(), p.exitcode, active_children())
            p.close()
            q = Process(target=time.sleep, args=(600,), pool="py")
            q.start()
            q.terminate()
            q.join()
            print(q.exitcode)
        """)
        self.assertEqual(printed.splitlines(), ["True None [] True", "True", "False -9 []", "-15"])

    def test_a_daemon_process_ends_with_its_script_and_others_are_joined(self):
        fifo = Fifo(self.here, "fifo")
        script = self.popen(f"""\
            import time
            from poold.multiprocessing import Process
            d = Process(target=time.sleep, args=(600,), name="d", daemon=True, pool="py")
            d.start()
            o = Process(target=lambda: open({fifo.path!r}).read(), name="o", pool="py")
            o.start()
            print("ends")
        """)
        eventually(lambda: {p["name"]: p["state"] for p in self.listed()} == {"d": "RUNNING", "o": "RUNNING"}, 30 * harness.PATIENCE, "both run")
        # At its end it ends the one and waits for the other, as the standard module does.
        eventually(lambda: [p["name"] for p in self.listed()] == ["o"], 30 * harness.PATIENCE, "d has ended")
        self.assertIsNone(script.poll())
        fifo.write("go")
        self.assertEqual(script.communicate(timeout=60 * harness.PATIENCE)[0], "ends\n")
        self.assertEqual(script.returncode, 0)

    def test_a_daemon_process_ends_when_its_script_is_killed(self):
        script = self.popen("""\
            import time
            from poold.multiprocessing import Process
            for daemon in (True, False):
                Process(target=time.sleep, args=(600,), name=str(daemon), daemon=daemon, pool="py").start()
            print("started", flush=True)
            time.sleep(600)
        """)
        self.assertEqual(script.stdout.readline(), "started\n")
        script.kill()
        eventually(lambda: [p["name"] for p in self.listed()] == ["False"], 30 * harness.PATIENCE, "the daemon process has ended")
        left, = self.listed()
        self.control.call("Processes/Kill", {"id": left["id"], "signal": signal.SIGKILL})

    def test_the_daemon_gives_way_while_a_script_waits(self):
        fifo = Fifo(self.here, "fifo")
        script = self.popen(f"""\
            from poold.multiprocessing import Process
            p = Process(target=lambda: open({fifo.path!r}).read(), pool="py")
            p.start()
            p.join()
            print(p.exitcode)
        """)
        eventually(lambda: [p["state"] for p in self.listed()] == ["RUNNING"], 30 * harness.PATIENCE, "it runs")
        engine = self.here.engine()
        processes.kill_exactly(engine)  # and with it its process: the pool is in memory
        self.assertEqual(script.communicate(timeout=60 * harness.PATIENCE)[0], "255\n")

    def test_what_is_wrong_is_said(self):
        printed = self.script("""\
            import time
            from poold.multiprocessing import Process
            def said(**settings):
                try:
                    Process(**settings).start()
                except Exception as error:
                    print(f"{type(error).__name__}: {error}")
            said(target=print, pool="none")
            said(target=print, pool="strict")
            said(target=print, args=((x for x in ()),), pool="py")
            started = [Process(target=time.sleep, args=(600,), daemon=True, pool="py") for _ in range(2)]
            for process in started:
                process.start()
            said(target=print, pool="py")
        """).splitlines()
        self.assertRegex(printed[0], r"ValueError: the daemon at .* has no pool 'none'; it has .*py")
        self.assertRegex(printed[1], "ValueError: the pool 'strict' of .* does not take application/x-python-pickle")
        self.assertRegex(printed[2], "TypeError: cannot pickle .generator. object")
        self.assertRegex(printed[3], r"ResourceExhausted: .*as many processes as it may \(2\)")


if __name__ == "__main__":
    unittest.main(verbosity=2)
