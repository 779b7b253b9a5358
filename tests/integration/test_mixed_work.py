"""Short tasks behind a long one: they run on the other workers, as if the long one were not there."""

import os
import statistics
import subprocess

import harness
from harness import BIN, FUNCTIONS, DaemonTest, performance

COUNT = 10_000
ROUNDS = 5


@performance
class MixedWork(DaemonTest):
    def rate(self, daemon, what):
        ended = subprocess.run([BIN / "stream_bench", what, str(COUNT), str(COUNT)], check=True, capture_output=True, text=True,
                               env={**os.environ, "POOLD_SOCKET": daemon.socket})
        return float(ended.stdout.split()[1])

    def settle(self, control):
        """The long task of the last round is gone, and its worker is back."""
        harness.eventually(lambda: all(p["running"] == 0 and p["ready"] == p["workers"] for p in control.call("Pools/List")["pools"]), 20)

    def test_ten_thousand_short_ones_behind_one_of_a_minute(self):
        daemon = self.daemon({"math": {**FUNCTIONS, "workers": 1}, "mixed": {**FUNCTIONS, "workers": 2}})
        daemon.wait_ready()
        control = daemon.client()
        alone, behind = [], []
        for _ in range(ROUNDS):
            self.settle(control)
            alone.append(self.rate(daemon, "short"))
            behind.append(self.rate(daemon, "mixed"))
        slower = statistics.median(alone) / statistics.median(behind)
        print(f"10,000 short tasks on one worker: {statistics.median(alone):,.0f}/s; on the other worker beside a long task: "
              f"{statistics.median(behind):,.0f}/s; {slower:.2f} times as long")
        self.assertLessEqual(slower, 1.2)


if __name__ == "__main__":
    harness.main()
