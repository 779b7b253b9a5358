"""What is measured: programs, how many tasks they get, and which of their numbers become which rows. The rows that need a daemon of their own are in
own_daemon.py, how all this is run and reported in `run` and report.py.

A row's name begins with what it is about: noop_cpp_ (functions that do nothing, called from C++), echo_cpp_ (with payloads), python_, command_,
memory_, death_, restart_; peer_ is another product, and limit_ the machine itself.
"""

import dataclasses
import functools
import sys
import time
import typing

import own_daemon
from harness import BIN
from places import HERE, PEERS

RATE, P50, P99, P999 = "tasks_per_s", "p50_us", "p99_us", "p999_us"


@dataclasses.dataclass
class Row:
    name: str
    printed: str  # which of the program's numbers it is
    unit: str
    factor: float = 1.0  # the unit is so many of the program's


@dataclasses.dataclass
class Measure:
    """Run once a round. `run` takes the Session and the number of tasks and returns numbers by name."""

    run: typing.Callable
    count: int
    rows: list
    peer: str = ""  # what it needs: a name in machine.PEERS; left out where that is not installed
    python: bool = False  # needs the Python package
    own_daemon: bool = False  # starts one

    @property
    def name(self):
        return self.rows[0].name


class WrongResult(Exception):
    """A program under measurement ended badly, or an output was not what it must be."""


def rate(name):
    return Row(name, RATE, "tasks/s")


def rates(name):
    """The rate, and the median latency."""
    return [rate(name), p50(name + "_p50")]


def p50(name):
    return Row(name, P50, "us")


def p99(name):
    return Row(name, P99, "us")


def ended_well(line, session, **options):
    ended = session.run(list(map(str, line)), **options)
    if ended.returncode != 0:
        raise WrongResult(f"{' '.join(map(str, line))}\n  ended with {ended.returncode}: {ended.stderr.strip()[-2000:]}")
    return ended


def program(line, session, count):
    """Runs a program that measures itself, with the count as one of its words: in the place of COUNT, or at the end."""
    words = [count if word == "COUNT" else word for word in line]
    printed = ended_well(words if "COUNT" in line else [*words, count], session).stdout
    return {name: float(value) for name, value in map(str.split, printed.splitlines())}


def over_items(line, session, count, echoed=False):
    """Runs a program that does something for each line of its input, timed from outside, its start included, as people have it."""
    items = "".join(f"{number}\n" for number in range(count))
    begin = time.perf_counter()
    ended = ended_well(line, session, input=items)
    seconds = time.perf_counter() - begin
    if ended.stdout != (items if echoed else ""):
        raise WrongResult(f"{' '.join(map(str, line))}\n  printed something else than it should")
    return {RATE: count / seconds}


def half_load(session, count):
    """At half of the rate that this very round has shown; if it was not asked for it, of one measured for this."""
    most = session.latest.get("noop_cpp_window_1024") or program([BIN / "stream_bench", "noop", 1024], session, count)[RATE]
    return program([BIN / "paced_bench", round(most / 2)], session, count)


def measured(*line):
    return functools.partial(program, line)


def stream(work, window, *more):
    return measured(BIN / "stream_bench", work, window, "COUNT", *more)


def echo(name, size, tasks_in_a_second):
    """The rate with 16 in flight, and the round trip of one."""
    megabytes = Row(f"echo_cpp_{name}_mb", RATE, "MB/s", 1e6 / size)
    return [
        Measure(stream("echo", 16, size), tasks_in_a_second, [rate(f"echo_cpp_{name}"), megabytes]),
        Measure(stream("echo", 1, size), max(200, tasks_in_a_second // 10), [p50(f"echo_cpp_{name}_round_trip_p50")]),
    ]


# The sizes that the plot shows, with about as many tasks as take a third of a second.
PAYLOADS = [("1kib", 1 << 10, 80_000), ("16kib", 1 << 14, 15_000), ("64kib", 1 << 16, 6_000), ("256kib", 1 << 18, 2_000), ("1mib", 1 << 20, 500)]

NOOPS = [
    Measure(stream("noop", 1024), 1_000_000, rates("noop_cpp_window_1024")),
    Measure(half_load, 400_000, [p50("noop_cpp_half_load_p50"), p99("noop_cpp_half_load_p99"), Row("noop_cpp_half_load_p999", P999, "us")]),
    Measure(stream("noop", 1), 10_000, [rate("noop_cpp_window_1"), p50("noop_cpp_round_trip_p50"), p99("noop_cpp_round_trip_p99")]),
    Measure(measured(BIN / "paced_bench", 1000), 1000, [p50("noop_cpp_idle_p50"), p99("noop_cpp_idle_p99")]),
    Measure(stream("noop", 4), 40_000, rates("noop_cpp_window_4")),
    Measure(stream("noop", 16), 100_000, rates("noop_cpp_window_16")),
    Measure(stream("noop", 64), 300_000, rates("noop_cpp_window_64")),
    Measure(stream("noop", 256), 400_000, rates("noop_cpp_window_256")),
    Measure(stream("noop", 256, "--clients", 4), 1_000_000, [rate("noop_cpp_clients_4")]),
]

PYTHON = [
    Measure(measured(sys.executable, HERE / "python_stream.py", "spec", "math"), 150_000, [rate("python_client_prepared")], python=True),
    Measure(measured(sys.executable, HERE / "python_stream.py", "submit", "math"), 80_000, [rate("python_client_stream")], python=True),
    Measure(measured(sys.executable, HERE / "python_stream.py", "submit", "py"), 60_000, [rate("python_client_and_worker")], python=True),
    Measure(stream("python", 1024), 150_000, [rate("python_worker_window_1024")], python=True),
    Measure(stream("python", 1), 3_000, [p50("python_worker_round_trip_p50")], python=True),
    # Beside the standard pool in one program, with a private daemon.
    Measure(measured("env", f"POOLD_EXECUTABLE={BIN / 'poold'}", sys.executable, HERE / "python_multiprocessing.py"), 50_000,
            [row for way in ("apply_async", "map_one_by_one", "map") for row in
             (Row(f"python_pool_{way}", f"{way}_per_s", "tasks/s"), Row(f"python_pool_{way}_ratio", f"{way}_ratio", "times"))], python=True),
    Measure(measured("env", f"POOLD_EXECUTABLE={BIN / 'poold'}", sys.executable, HERE / "python_arrays.py"), 200,
            [row for way in ("map", "map_one_by_one", "apply_async") for row in
             (Row(f"python_arrays_{way}", f"{way}_per_s", "tasks/s"), Row(f"python_arrays_{way}_ratio", f"{way}_ratio", "times"))],
            peer="numpy", python=True),
    Measure(measured("env", f"POOLD_EXECUTABLE={BIN / 'poold'}", sys.executable, HERE / "python_shared_memory.py"), 4,
            [Row("python_shared_64mib_mb", "large_rate", "MB/s"), Row("python_shared_64mib_ratio", "large_ratio", "times"),
             Row("python_shared_1mib", "small_rate", "tasks/s"), Row("python_shared_1mib_ratio", "small_ratio", "times")], python=True),
]

COMMANDS = [
    Measure(stream("true", 64), 2_500, rates("command_stream")),
    Measure(functools.partial(over_items, [BIN / "poolctl", "map", "--no-progress", "--", "/bin/true"]), 2_500, [rate("command_map")]),
    Measure(functools.partial(over_items, [BIN / "poolctl", "map", "--no-progress", "-k", "--", "/bin/echo", "{}"], echoed=True), 2_500,
            [rate("command_map_echo")]),
]

LIMITS = [
    Measure(measured(BIN / "limits_bench", "hops", 1024), 2_000_000, [rate("limit_hops_window_1024")]),
    Measure(measured(BIN / "limits_bench", "hops", 64), 500_000, [rate("limit_hops_window_64")]),
    Measure(measured(BIN / "limits_bench", "hops", 1), 20_000,
            [rate("limit_hops_window_1"), p50("limit_hops_round_trip_p50"), p99("limit_hops_round_trip_p99")]),
    Measure(measured(BIN / "limits_bench", "spawn", 2), 2_500, [rate("limit_spawn_width_2")]),
    Measure(measured(BIN / "limits_bench", "fsync", 4096), 300, [Row("limit_fsync", "appends_per_s", "appends/s")]),
]


def peer(name, script, arguments, count, *rows):
    return Measure(measured(sys.executable, PEERS / script, *arguments), count, list(rows), peer=name)


PEER_MEASURES = [
    peer("multiprocessing", "python_pools.py", ["pool_map"], 40_000, rate("peer_pool_map")),
    peer("multiprocessing", "python_pools.py", ["pool_apply_async"], 20_000, rate("peer_pool_apply_async")),
    peer("multiprocessing", "python_pools.py", ["pool_apply"], 4_000, p50("peer_pool_apply_p50"), p99("peer_pool_apply_p99")),
    peer("concurrent.futures", "python_pools.py", ["executor_map"], 6_000, rate("peer_executor_map")),
    peer("concurrent.futures", "python_pools.py", ["executor_submit"], 6_000, rate("peer_executor_submit")),
    peer("joblib", "python_pools.py", ["loky"], 3_000, rate("peer_loky")),
    Measure(functools.partial(over_items, ["xargs", "-P2", "-n1", "/bin/true"]), 2_500, [rate("peer_xargs_width_2")], peer="xargs"),
    Measure(functools.partial(over_items, ["parallel", "--will-cite", "-j2", "/bin/true"]), 300, [rate("peer_parallel_width_2")], peer="parallel"),
    peer("task-spooler", "task_spooler.py", [], 200, rate("peer_task_spooler")),
    peer("beanstalkd", "brokers.py", ["beanstalkd"], 15_000, rate("peer_beanstalkd")),
    peer("gearmand", "brokers.py", ["gearmand"], 10_000, rate("peer_gearmand"), p50("peer_gearmand_round_trip_p50")),
    peer("celery", "celery_redis.py", [], 600, rate("peer_celery"), p50("peer_celery_round_trip_p50")),
]

MEASURES = [
    *NOOPS,
    *(measure for payload in PAYLOADS for measure in echo(*payload)),
    *PYTHON,
    *COMMANDS,
    *(Measure(function, count, [Row(*row) for row in rows], own_daemon=True) for function, count, rows in own_daemon.MEASURES),
    *LIMITS,
    *PEER_MEASURES,
]
