"""The same tiny calls through multiprocessing.Pool and poold.multiprocessing.Pool, 2 workers, in one run: python_multiprocessing.py COUNT.

The poold that is measured comes from POOLD_EXECUTABLE, or PATH. Each is asked first for a moment, so that its workers are up, and then in turns, so
that what else the machine does meets both. Every result is looked at. Prints lines of a name and a number: rates, and how many times the standard
pool's rate ours is (the median of the turns).
"""

import multiprocessing
import os
import pathlib
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "client" / "python"))
import poold.multiprocessing  # noqa: E402  pylint: disable=wrong-import-position

WORKERS = 2
TURNS = 3
WARM_UP = 1000


def same(value):
    return value


def apply_async(pool, count):
    return [pending.get() for pending in [pool.apply_async(same, (value,)) for value in range(count)]]


def map_one_by_one(pool, count):
    return pool.map(same, range(count), chunksize=1)


def map_chunks(pool, count):
    return pool.map(same, range(count))


WAYS = {"apply_async": apply_async, "map_one_by_one": map_one_by_one, "map": map_chunks}


def rate(way, pool, count):
    begin = time.perf_counter()
    results = way(pool, count)
    seconds = time.perf_counter() - begin
    if results != list(range(count)):
        sys.exit(f"{way.__name__}: a wrong result")
    return count / seconds


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: python_multiprocessing.py COUNT")
    count = int(sys.argv[1])
    os.environ.pop("POOLD_SOCKET", None)  # a daemon of its own
    with multiprocessing.Pool(WORKERS) as theirs, poold.multiprocessing.Pool(WORKERS) as ours:
        for name, way in WAYS.items():
            way(theirs, WARM_UP)
            way(ours, WARM_UP)
            turns = [(rate(way, ours, count), rate(way, theirs, count)) for _ in range(TURNS)]
            print(f"{name}_per_s {statistics.median(mine for mine, _ in turns):.0f}")
            print(f"{name}_standard_per_s {statistics.median(other for _, other in turns):.0f}")
            print(f"{name}_ratio {statistics.median(mine / other for mine, other in turns):.3f}")


if __name__ == "__main__":
    main()
