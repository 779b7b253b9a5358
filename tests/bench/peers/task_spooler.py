"""/bin/true through task-spooler, two at a time: task_spooler.py COUNT. One client process a task, as its users do it.

Prints lines of a name and a number. Every exit code is looked at.
"""

import os
import subprocess
import sys
import time

import server


def tsp(*arguments):
    return subprocess.run(["tsp", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60).stdout


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: task_spooler.py COUNT")
    count = int(sys.argv[1])
    with server.directory() as directory:
        os.environ.update(TS_SOCKET=str(directory / "socket"), TS_MAXFINISHED=str(count + 10), TMPDIR=str(directory))
        tsp("-S", "2")
        try:
            begin = time.perf_counter()
            for _ in range(count):
                tsp("-n", "/bin/true")
            while unfinished := [line.split()[0] for line in tsp("-l").splitlines() if line.split()[1] in ("queued", "running")]:
                tsp("-w", unfinished[-1])
            seconds = time.perf_counter() - begin
            finished = [line.split()[3] for line in tsp("-l").splitlines() if " finished " in line]
        finally:
            tsp("-K")
    if finished != ["0"] * count:
        sys.exit(f"task-spooler: {len(finished)} of {count} finished, or not with 0")
    print(f"tasks_per_s {count / seconds:.0f}")


if __name__ == "__main__":
    main()
