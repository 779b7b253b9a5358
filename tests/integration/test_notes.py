"""The example programs of client/cpp/examples/notes.cpp: processes, pools, pipes, queues, memory, signals, semaphores in C++."""

import subprocess

import harness

EXPECTED = {
    "process": "exit code 0",
    "life": "alive before: 0\nwork_until_asked alive: 1, own pid: 1\nexit code -9",
    "daemon": "daemon: CANCELLED",
    "class": "tick 1\ntick 1\ntick 1",
    "pool": "0 1 4 9 16 25 36 49 64 81 and 10 callbacks\nmap: 1 4 9, starmap: 8 9\ncrash: WORKER_LOST",
    "pipe": "\n".join(f"from process {number}" for number in range(5)),
    "simplex": "one way\nthen not_found",
    "queue": "sum 4950",
    "memory": f"sum of squares {sum(number * number for number in range(1000))}",
    "signal": "politely: 0",
    "semaphore": "at most two: 1, left inside: 0",
    "conversation": "butterfly? 9 letters\nexit code 0",
}


class Notes(harness.DaemonTest):
    def test_each_prints_what_it_should(self):
        poold = self.daemon({"notes": {"kind": "function", "program": [str(harness.BIN / "poold-notes"), "worker"], "workers": 2}}).wait_ready()
        for name, expected in EXPECTED.items():
            with self.subTest(name):
                ended = subprocess.run([str(harness.BIN / "poold-notes"), name], env=poold.poolctl_environment(), capture_output=True, text=True,
                                       timeout=120 * harness.PATIENCE, check=False)
                self.assertEqual((ended.returncode, ended.stderr), (0, ""))
                self.assertEqual(ended.stdout, expected + "\n")
        self.assertEqual(poold.client().call("Queues/List")["queues"], [], "nothing is left")
        self.assertEqual(poold.client().call("Semaphores/List")["semaphores"], [])


if __name__ == "__main__":
    harness.main()
