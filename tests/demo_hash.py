"""Hashes files as tasks of a daemon while killing its workers: demo_hash.py SOCKET FILES HASHES (for demo.sh).

Submits a sha256sum task a file, in waves; every 100 ms a worker picked at random gets SIGKILL. When all files are hashed before there were
twenty kills, they are hashed again until there were. Writes what the tasks printed, in the order of FILES. Ends with 1, saying why, if any
task ended otherwise than well.
"""

import collections
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "integration"))
import processes  # noqa: E402  pylint: disable=wrong-import-position
from control import Control  # noqa: E402  pylint: disable=wrong-import-position

POOL = "files"
KILLS_MIN = 20
KILL_INTERVAL_S = 0.1
WAVE = 100  # tasks in flight


class Killer:
    """Kills a worker whenever its time has come."""

    def __init__(self, control):
        self.control = control
        self.kills = self.kills_busy = 0
        self.next = time.monotonic() + KILL_INTERVAL_S

    def act(self):
        if time.monotonic() < self.next:
            return
        workers = [w for w in self.control.workers(POOL) if w["pid"] and w["state"] in ("IDLE", "BUSY")]
        if not workers:
            return
        victim = random.choice(workers)
        try:
            processes.send(victim["pid"], signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills += 1
        self.kills_busy += victim["state"] == "BUSY"
        self.next = max(self.next + KILL_INTERVAL_S, time.monotonic())


def hash_once(control, killer, files, results):
    """Runs all files through the pool, WAVE at a time; results[i] is what task i printed."""
    waiting = collections.deque(enumerate(files))
    running = {}
    attempts = 0
    while waiting or running:
        batch = [waiting.popleft() for _ in range(min(WAVE - len(running), len(waiting)))]
        if batch:
            specs = [{"pool": POOL, "command": {"argv": ["sha256sum", "--", path]}} for _, path in batch]
            for (index, _), entry in zip(batch, control.call("Tasks/SubmitBatch", {"tasks": specs})["tasks"]):
                if entry["code"]:
                    sys.exit(f"refused: {entry['code']}: {entry['message']}")
                running[entry["id"]] = index
        killer.act()
        tasks = control.call("Tasks/Wait", {"ids": list(running), "any": True, "timeout": "0.05s"})["tasks"]
        for task in tasks:
            if "outcome" not in task:
                continue
            index = running.pop(task["id"])
            if task["state"] != "SUCCEEDED":
                sys.exit(f"{files[index]}: {task['outcome']}")
            attempts += task["attempt"]
            printed = control.output(task["id"])[0]
            if results[index] is not None and results[index] != printed:
                sys.exit(f"{files[index]}: two hashes: {results[index]!r}, {printed!r}")
            results[index] = printed
    return attempts


def main():
    socket, list_path, hashes_path = sys.argv[1:]
    files = pathlib.Path(list_path).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    control = Control(socket)
    killer = Killer(control)
    results = [None] * len(files)
    began = time.monotonic()
    attempts = rounds = 0
    while rounds == 0 or killer.kills < KILLS_MIN:
        attempts += hash_once(control, killer, files, results)
        rounds += 1
    seconds = time.monotonic() - began
    tasks = rounds * len(files)
    print(f"{tasks} tasks in {seconds:.1f} s ({tasks / seconds:.0f} a second, {rounds} round{'s' * (rounds > 1)} through the files)")
    print(f"{killer.kills} workers killed, {killer.kills_busy} of them at work; {attempts - tasks} attempts were lost and made again")
    pathlib.Path(hashes_path).write_bytes(b"".join(results))


if __name__ == "__main__":
    main()
