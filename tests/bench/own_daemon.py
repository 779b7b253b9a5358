"""Rows that need a daemon of their own: how it does with a long queue, how much memory it takes, and what deaths cost.

Each function here runs once a round, takes the Session and a count, and returns numbers by name; MEASURES says which rows those are.
"""

import contextlib
import signal
import statistics
import subprocess
import time

import processes
from control import connect, ndjson_of_chunks
from harness import BIN, FUNCTIONS, Daemon

MIB = 1024 * 1024
TWO = {"workers": 2, "queue_size": 10_000_000, "retention": {"count": 1000}}
DISK = {**FUNCTIONS, **TWO, "durability": "disk"}
DEFAULT, MATH = {"kind": "command", **TWO}, {**FUNCTIONS, **TWO}
QUEUES = {"1k": 1_000, "100k": 100_000, "1m": 1_000_000}


@contextlib.contextmanager
def fresh(**pools):
    daemon = Daemon(pools)
    try:
        yield daemon.start().wait_ready()
        if daemon.stop() != 0:
            raise AssertionError("the daemon did not end well:\n" + daemon.log()[-4000:])
    finally:
        daemon.clean_up()


def memory(pid):
    """(PSS, USS) in bytes: its fair share of what it maps, and what only it has."""
    kib = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            if value.endswith(" kB\n"):
                kib[name] = int(value.split()[0])
    return kib["Pss"] * 1024, (kib["Private_Clean"] + kib["Private_Dirty"]) * 1024


def idle_memory(daemon):
    worker = daemon.client().workers("math")[0]["pid"]
    found = {}
    for name, pid in (("supervisor", daemon.pid), ("engine", daemon.engine().pid), ("worker", worker)):
        pss, uss = memory(pid)
        found[f"{name}_pss"], found[f"{name}_uss"] = pss / MIB, uss / MIB
    return found


def with_queue(daemon, session, length, count):
    """The rate while `length` tasks wait all the time, and the engine's memory when they do and none has run."""
    control = daemon.client()
    control.call("Pools/Pause", {"name": "math"})
    line = [str(BIN / "stream_bench"), "noop", str(length), str(length + count), "--full"]
    environment = {**session.environment, "POOLD_SOCKET": daemon.socket}
    bench = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        full = bench.stdout.readline()
        if full == "full\n":
            queued = control.pool("math")["queued"]
            if queued != length:
                raise AssertionError(f"{queued} tasks are queued, not {length}")
            pss = memory(daemon.engine().pid)[0]
            control.call("Pools/Resume", {"name": "math"})
        printed, complaint = bench.communicate("go\n", timeout=120)
        if bench.returncode != 0:
            raise AssertionError(f"{' '.join(line)}\n  ended with {bench.returncode}: {complaint}")
    finally:
        if bench.poll() is None:
            bench.kill()
            bench.wait()
    return float(dict(map(str.split, printed.splitlines()))["tasks_per_s"]), pss


def queues(session, count):
    numbers = {}
    with fresh(default=DEFAULT, math=MATH) as daemon:
        numbers |= idle_memory(daemon)
        for name, length in QUEUES.items():
            length = max(1000, length // session.divisor)
            numbers[name], pss = with_queue(daemon, session, length, count)
    numbers["per_task"] = (pss - numbers["engine_pss"] * MIB) / length
    # With --quick fewer were queued, and this is what a million would take.
    numbers["engine_full"] = numbers["engine_pss"] + numbers["per_task"] * QUEUES["1m"] / MIB
    return numbers


def percentiles(seconds):
    ordered = sorted(seconds)
    return {"p50_ms": statistics.median(ordered) * 1e3, "p99_ms": ordered[len(ordered) * 99 // 100] * 1e3}


def death_to_ready(_session, count):
    """From SIGKILL of a pool's only worker to the result of a task submitted right then, which its successor has run."""
    times = []
    with fresh(default=DEFAULT, single={**FUNCTIONS, "workers": 1}) as daemon:
        control = daemon.client()
        for _ in range(count):
            before = control.workers("single")[0]
            begin = time.perf_counter()
            processes.send(before["pid"], signal.SIGKILL)
            task = control.run(function="noop", pool="single")
            times.append(time.perf_counter() - begin)
            after = control.workers("single")[0]
            if task["state"] != "SUCCEEDED" or after["generation"] != before["generation"] + 1:
                raise AssertionError(f"not run by the next worker: {task}, {after}")
    return percentiles(times)


def requeue(_session, count):
    """From SIGKILL of a worker to the news that its task is in the queue again."""
    times = []
    with fresh(math=MATH) as daemon:
        control = daemon.client()
        with contextlib.closing(connect(daemon.socket, 60)) as connection:
            connection.sendall(b"GET /v1/events HTTP/1.1\r\nHost: poold\r\n\r\n")
            reader = connection.makefile("rb")
            while reader.readline().strip():
                pass  # the head
            events = ndjson_of_chunks(reader)

            def until(task_id, state, attempt):
                while (event := next(events))["id"] != task_id or (event["state"], event["attempt"]) != (state, attempt):
                    pass

            for _ in range(count):
                task_id = control.submit(function="sleep_ms", args=[60_000], pool="math")
                until(task_id, "RUNNING", 1)
                pid = control.task(task_id)["placement"]["pid"]
                begin = time.perf_counter()
                processes.send(pid, signal.SIGKILL)
                until(task_id, "QUEUED", 1)
                times.append(time.perf_counter() - begin)
                until(task_id, "RUNNING", 2)
                control.call("Tasks/Cancel", {"id": task_id})
                control.wait(task_id)
                daemon.wait_ready()
    return percentiles(times)


def answer(path):
    """Asks /healthz once, however long the answer takes."""
    with contextlib.closing(connect(path, 60)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: poold\r\nConnection: close\r\n\r\n")
        return connection.recv(4096).startswith(b"HTTP/1.1 200")


def engine_restart(daemon):
    """The socket stays, so a client that comes meanwhile is answered by the next engine."""
    engine = daemon.engine()
    begin = time.perf_counter()
    processes.kill_exactly(engine)
    if processes.wait_gone([engine.pid], 10):  # else the request could still reach the old one
        raise AssertionError("a killed engine lives on")
    if not answer(daemon.socket):
        raise AssertionError("/healthz does not answer 200")
    return time.perf_counter() - begin


def daemon_restart(daemon):
    """SIGKILL of the supervisor, and a new one in its place, as systemd would start it."""
    begin = time.perf_counter()
    daemon.kill()
    daemon.start()
    return time.perf_counter() - begin


def restarts(_session, count):
    with fresh(default=DEFAULT, math=MATH) as daemon:
        engine = []
        for _ in range(count):
            engine.append(engine_restart(daemon))
            daemon.wait_ready()
        supervisor = []
        for _ in range(count):
            supervisor.append(daemon_restart(daemon))
            daemon.wait_ready()
    return {"engine_ms": statistics.median(engine) * 1e3, "daemon_ms": statistics.median(supervisor) * 1e3}


def numbers_of(line, daemon, session):
    """What a program printed that measures itself."""
    ended = subprocess.run(list(map(str, line)), capture_output=True, text=True, check=False, timeout=120,
                           env={**session.environment, "POOLD_SOCKET": daemon.socket})
    if ended.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, line))}\n  ended with {ended.returncode}: {ended.stderr}")
    return {name: float(value) for name, value in map(str.split, ended.stdout.splitlines())}


def durable_runs(session, count):
    """Disk pools: every submission, every attempt and every outcome is on the disk before anybody is told."""
    numbers = {}
    with fresh(disk=DISK) as daemon:
        for window in (1, 1024, 16384):
            found = numbers_of([BIN / "stream_bench", "disk", window, max(window, count if window > 1 else count // 500)], daemon, session)
            numbers |= {f"{window}_rate": found["tasks_per_s"], f"{window}_p50": found["p50_us"]}
    with fresh(default={**DEFAULT, "durability": "disk"}) as daemon:
        numbers["commands"] = numbers_of([BIN / "stream_bench", "true", 64, max(100, count // 40)], daemon, session)["tasks_per_s"]
    return numbers


def durable_queue(session, count):
    """Accepted by a disk pool that is paused; then the daemon dies, and the next one has them all."""
    with fresh(disk=DISK) as daemon:
        control = daemon.client()
        control.call("Pools/Pause", {"name": "disk"})
        accepted = numbers_of([BIN / "accept_bench", "disk", 16384, count], daemon, session)["tasks_per_s"]
        control.close()
        seconds = daemon_restart(daemon)
        pool = daemon.client().pool("disk")
        ended = int(pool["succeeded"])
        if (found := int(pool["queued"]) + int(pool["running"]) + ended) < count:
            raise AssertionError(f"{found} of {count} tasks are left")
        return {"accepted": accepted, "restart_ms": seconds * 1e3}


# Function, how many tasks or deaths, and the rows: name, number, unit.
MEASURES = [
    (queues, 300_000, [
        ("noop_cpp_queued_1k", "1k", "tasks/s"),
        ("noop_cpp_queued_100k", "100k", "tasks/s"),
        ("noop_cpp_queued_1m", "1m", "tasks/s"),
        ("memory_engine_1m_queued_pss", "engine_full", "MiB"),
        ("memory_per_queued_task", "per_task", "B"),
        ("memory_supervisor_pss", "supervisor_pss", "MiB"),
        ("memory_supervisor_uss", "supervisor_uss", "MiB"),
        ("memory_engine_idle_pss", "engine_pss", "MiB"),
        ("memory_engine_idle_uss", "engine_uss", "MiB"),
        ("memory_worker_pss", "worker_pss", "MiB"),
        ("memory_worker_uss", "worker_uss", "MiB"),
    ]),
    (durable_runs, 100_000, [
        ("noop_cpp_durable_window_16384", "16384_rate", "tasks/s"),
        ("noop_cpp_durable_window_16384_p50", "16384_p50", "us"),
        ("noop_cpp_durable_window_1024", "1024_rate", "tasks/s"),
        ("noop_cpp_durable_window_1", "1_rate", "tasks/s"),
        ("noop_cpp_durable_round_trip_p50", "1_p50", "us"),
        ("command_durable_stream", "commands", "tasks/s"),
    ]),
    (durable_queue, 100_000, [
        ("noop_cpp_durable_accepted", "accepted", "tasks/s"),
        ("restart_daemon_100k_queued_to_ready", "restart_ms", "ms"),
    ]),
    (death_to_ready, 50, [("death_to_ready_p50", "p50_ms", "ms"), ("death_to_ready_p99", "p99_ms", "ms")]),
    (requeue, 50, [("death_requeue_p50", "p50_ms", "ms"), ("death_requeue_p99", "p99_ms", "ms")]),
    (restarts, 3, [("restart_engine_to_ready", "engine_ms", "ms"), ("restart_daemon_to_ready", "daemon_ms", "ms")]),
]
