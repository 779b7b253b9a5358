"""The same no-op through Python's own pools, two workers: python_pools.py WHAT COUNT.

pool_map, pool_apply_async and pool_apply are multiprocessing.Pool's, executor_map and executor_submit ProcessPoolExecutor's, loky is joblib's. Every
item travels alone (chunksize=1, batch_size=1), as tasks of poold do. Every result is looked at. Prints lines of a name and a number.
"""

import concurrent.futures
import multiprocessing
import sys
import time

WORKERS = 2
WARM_UP = 100  # so that both workers are up


def same(value):
    return value


def pool(what, count):
    with multiprocessing.Pool(WORKERS) as workers:
        workers.map(same, range(WARM_UP))
        begin, times = time.perf_counter(), []
        if what == "pool_map":
            results = workers.map(same, range(count), chunksize=1)
        elif what == "pool_apply_async":
            results = [pending.get() for pending in [workers.apply_async(same, (value,)) for value in range(count)]]
        else:
            results = []
            for value in range(count):
                sent = time.perf_counter()
                results.append(workers.apply(same, (value,)))
                times.append(time.perf_counter() - sent)
        return time.perf_counter() - begin, results, times


def executor(what, count):
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as workers:
        list(workers.map(same, range(WARM_UP)))
        begin = time.perf_counter()
        if what == "executor_map":
            results = list(workers.map(same, range(count), chunksize=1))
        else:
            results = [pending.result() for pending in [workers.submit(same, value) for value in range(count)]]
        return time.perf_counter() - begin, results, []


def loky(_what, count):
    import joblib

    with joblib.Parallel(n_jobs=WORKERS, backend="loky", batch_size=1, pre_dispatch="all") as workers:
        workers(joblib.delayed(same)(value) for value in range(WARM_UP))
        begin = time.perf_counter()
        results = workers(joblib.delayed(same)(value) for value in range(count))
        return time.perf_counter() - begin, results, []


WAYS = {
    "pool_map": pool,
    "pool_apply_async": pool,
    "pool_apply": pool,
    "executor_map": executor,
    "executor_submit": executor,
    "loky": loky,
}


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in WAYS:
        sys.exit(f"usage: python_pools.py {'|'.join(WAYS)} COUNT")
    what, count = sys.argv[1], int(sys.argv[2])
    seconds, results, times = WAYS[what](what, count)
    if results != list(range(count)):
        sys.exit(f"{what}: a wrong result")
    print(f"tasks_per_s {count / seconds:.0f}")
    if times:
        times.sort()
        print(f"p50_us {times[count // 2] * 1e6:.2f}\np99_us {times[count * 99 // 100] * 1e6:.2f}")


if __name__ == "__main__":
    main()
