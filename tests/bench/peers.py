"""The same no-op through multiprocessing.Pool: peers.py map|apply_async|apply COUNT, two workers.

Every result is looked at. Prints lines of a name and a number, like the programs beside it.
"""

import multiprocessing
import sys
import time


def same(value):
    return value


def main():
    what, count = sys.argv[1], int(sys.argv[2])
    with multiprocessing.Pool(2) as pool:
        pool.map(same, range(100))  # both workers are up
        times = []
        begin = time.perf_counter()
        if what == "map":
            results = pool.map(same, range(count), chunksize=1)
        elif what == "apply_async":
            results = [pending.get() for pending in [pool.apply_async(same, (value,)) for value in range(count)]]
        else:
            results = []
            for value in range(count):
                sent = time.perf_counter()
                results.append(pool.apply(same, (value,)))
                times.append(time.perf_counter() - sent)
        seconds = time.perf_counter() - begin
        if results != list(range(count)):
            sys.exit("a wrong result")
    print(f"tasks_per_s {count / seconds:.0f}")
    if times:
        times.sort()
        print(f"p50_us {times[count // 2] * 1e6:.2f}\np99_us {times[count * 99 // 100] * 1e6:.2f}")


if __name__ == "__main__":
    main()
