"""NumPy arrays of 1 MB there and back through multiprocessing.Pool and poold.multiprocessing.Pool, 2 workers, in one run: python_arrays.py COUNT.

The poold that is measured comes from POOLD_EXECUTABLE, or PATH. Each is asked first, so that its workers are up, and then in turns, so that what else
the machine does meets both. Every result is looked at. Prints lines of a name and a number: ours in arrays a second, and how many times the standard
pool's rate that is (the median of the turns).
"""

import multiprocessing
import os
import pathlib
import statistics
import sys
import time

import numpy

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "client" / "python"))
import poold.multiprocessing  # noqa: E402  pylint: disable=wrong-import-position

WORKERS = 2
TURNS = 5
NUMBERS = 1_000_000 // 8


def doubled(array):
    return array * 2


def map_chunks(pool, arrays):
    return pool.map(doubled, arrays)


def map_one_by_one(pool, arrays):
    return pool.map(doubled, arrays, chunksize=1)


def apply_async(pool, arrays):
    return [pending.get() for pending in [pool.apply_async(doubled, (array,)) for array in arrays]]


WAYS = {"map": map_chunks, "map_one_by_one": map_one_by_one, "apply_async": apply_async}


def rate(way, pool, arrays):
    begin = time.perf_counter()
    results = way(pool, arrays)
    seconds = time.perf_counter() - begin
    if any(result.shape != (NUMBERS,) or result[-1] != 2 * array[-1] for array, result in zip(arrays, results, strict=True)):
        sys.exit(f"{way.__name__}: a wrong result")
    return len(arrays) / seconds


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: python_arrays.py COUNT")
    arrays = [numpy.full(NUMBERS, number, dtype=float) for number in range(int(sys.argv[1]))]
    os.environ.pop("POOLD_SOCKET", None)  # a daemon of its own
    with multiprocessing.Pool(WORKERS) as theirs, poold.multiprocessing.Pool(WORKERS) as ours:
        for name, way in WAYS.items():
            rate(way, theirs, arrays)
            rate(way, ours, arrays)
            turns = [(rate(way, ours, arrays), rate(way, theirs, arrays)) for _ in range(TURNS)]
            print(f"{name}_per_s {statistics.median(mine for mine, _ in turns):.0f}")
            print(f"{name}_ratio {statistics.median(mine / other for mine, other in turns):.3f}")


if __name__ == "__main__":
    main()
