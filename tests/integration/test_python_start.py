"""How soon a Python worker is replaced, beside a bare interpreter that imports the same modules.

Measures, so it runs alone and not with instrumented programs. Every number is printed.
"""

import os
import signal
import statistics
import subprocess
import time
import unittest

import harness
import processes
from python_pool import PYTHON, python_pool

ROUNDS = 30


@harness.performance
class Start(harness.DaemonTest):
    def test_killed_worker_is_replaced_within_one_and_a_half_times_the_interpreter_s_own_start(self):
        pool = python_pool("poold_examples")
        control = self.daemon({"py": pool}).wait_ready().client()

        def bare():
            begin = time.perf_counter()
            subprocess.run([PYTHON, "-c", "import poold.v1.worker_pb2, poold_examples"], check=True, env={**os.environ, **pool["env"]})
            return time.perf_counter() - begin

        def replacement():
            victim = control.workers()[0]
            begin = time.perf_counter()
            processes.send(victim["pid"], signal.SIGKILL)
            while True:
                now = control.workers()[0]
                if now["generation"] > victim["generation"] and now["state"] == "IDLE":
                    return time.perf_counter() - begin
                self.assertLess(time.perf_counter() - begin, 10)
                time.sleep(0.0005)

        times = [(bare(), replacement()) for _ in range(ROUNDS)]
        interpreter, worker = (statistics.median(column) * 1000 for column in zip(*times))
        print(f"\ninterpreter {interpreter:.1f} ms, worker replaced and ready {worker:.1f} ms, ratio {worker / interpreter:.2f} ({ROUNDS} times each)")
        self.assertLess(worker, 1.5 * interpreter)


if __name__ == "__main__":
    unittest.main(verbosity=2)
