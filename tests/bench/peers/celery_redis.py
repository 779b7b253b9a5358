"""No-ops through Celery with Redis, two prefork workers: celery_redis.py COUNT. The workers import this file, too.

Prints lines of a name and a number. Every result is looked at.
"""

import os
import subprocess
import sys
import time

from celery import Celery

ADDRESS = "POOLD_BENCH_REDIS"
url = f"redis+socket://{os.environ.get(ADDRESS, '/nowhere')}"
app = Celery("celery_redis", broker=url + "?virtual_host=0", backend=url + "?virtual_host=1")
app.conf.broker_connection_retry_on_startup = True


@app.task
def same(value):
    return value


def measure(count):
    same.delay(0).get(timeout=60)  # the workers are up
    begin = time.perf_counter()
    results = [pending.get(timeout=60) for pending in [same.delay(value) for value in range(count)]]
    seconds = time.perf_counter() - begin
    if results != list(range(count)):
        sys.exit("celery: a wrong result")
    times = []
    for value in range(max(20, count // 10)):
        sent = time.perf_counter()
        same.delay(value).get(timeout=60)
        times.append(time.perf_counter() - sent)
    times.sort()
    print(f"tasks_per_s {count / seconds:.0f}\np50_us {times[len(times) // 2] * 1e6:.2f}")


def with_redis():
    """Starts Redis, then this program again with its address in the environment, since Celery wants that at import."""
    import server

    with server.directory() as directory:
        address, log = str(directory / "socket"), directory / "log"
        redis = ["redis-server", "--port", "0", "--unixsocket", address, "--save", "", "--appendonly", "no", "--dir", str(directory)]
        with server.running(redis, log) as process:
            server.connect(process, address, log).close()
            environment = {**os.environ, ADDRESS: address, "PYTHONPATH": os.path.dirname(os.path.abspath(__file__))}
            worker = [sys.executable, "-m", "celery", "-A", "celery_redis", "worker", "--concurrency", "2", "--pool", "prefork",
                      "--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]
            with server.running(worker, log, env=environment, cwd=directory):
                return subprocess.run([sys.executable, __file__, *sys.argv[1:]], env=environment, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: celery_redis.py COUNT")
    if ADDRESS in os.environ:
        measure(int(sys.argv[1]))
    else:
        sys.exit(with_redis())
