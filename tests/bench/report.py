"""The figures as a table for people, as JSON, and as the table of the README."""

import json
import statistics

GROUPS = {
    "noop_cpp": "functions that do nothing, from C++",
    "echo_cpp": "functions that give back a payload, 16 in flight; round trip: one",
    "python": "Python client, Python workers",
    "command": "commands",
    "memory": "memory",
    "death": "deaths of workers",
    "restart": "restarts",
    "limit": "what the machine itself does",
    "peer": "what one would use otherwise",
}

# The README's table: a title, our row, and those of others beside it.
README = [
    ("functions, 1024 in flight", "tasks/s", "noop_cpp_window_1024",
     [("Pool.map", "peer_pool_map"), ("Pool.apply_async", "peer_pool_apply_async"), ("ProcessPoolExecutor", "peer_executor_submit"),
      ("joblib", "peer_loky"), ("gearmand", "peer_gearmand"), ("beanstalkd", "peer_beanstalkd"), ("Celery", "peer_celery")]),
    ("the same, every promise on the disk first, 16,384 in flight", "tasks/s", "noop_cpp_durable_window_16384",
     [("one fsync after another", "limit_fsync")]),
    ("the same, client and workers in Python", "tasks/s", "python_client_and_worker", []),
    ("one function, there and back, median", "us", "noop_cpp_round_trip_p50",
     [("Pool.apply", "peer_pool_apply_p50"), ("gearmand", "peer_gearmand_round_trip_p50"), ("Celery", "peer_celery_round_trip_p50")]),
    ("commands (`/bin/true`), 2 at a time", "tasks/s", "command_map",
     [("xargs -P2", "peer_xargs_width_2"), ("GNU parallel", "peer_parallel_width_2"), ("task-spooler", "peer_task_spooler")]),
    ("a killed worker is replaced, 99 of 100", "ms", "death_to_ready_p99", []),
    ("memory of a task that waits, a million of them", "B", "memory_per_queued_task", []),
]


def rows_of(samples, units):
    rows = []
    for name, values in samples.items():
        median = statistics.median(values)
        spread = (max(values) - min(values)) / median if median else 0.0
        rows.append({"name": name, "unit": units[name], "median": round(median, 2), "spread": round(spread, 3)})
    return rows


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:,.2f}"


def group(name):
    return next(key for key in GROUPS if name.startswith(key))


def table(result):
    rows, width = result["rows"], max((len(row["name"]) for row in result["rows"]), default=0)
    machine = result["machine"]
    lines = [f"{machine['cpus']} x {machine['cpu']}, {machine['memory_gib']} GiB, Linux {machine['kernel']}, load {machine['load_before']} before"]
    lines.append(f"medians of {result['repetitions']} rounds in {result['seconds']} s" + (", a tenth of the tasks: worth little" if result["quick"] else ""))
    lines.append("beside " + ", ".join(f"{name} {version}" for name, version in result["peers"].items() if version))
    for key, title in GROUPS.items():
        members = [row for row in rows if group(row["name"]) == key]
        if members:
            lines += ["", f"{title}:"]
        for row in members:
            lines.append(f"  {row['name']:<{width}} {number(row['median']):>12} {row['unit']:<10} +-{row['spread'] * 50:.1f} %")
    if result["ratios"]:
        lines += ["", "watched, with the bar of the design:"]
        width = max(map(len, result["ratios"]))
    for name, one in result["ratios"].items():
        lines.append(f"  {name:<{width}} {number(one['value']):>12}   bar {one['bar']:<40} {one['of']}")
    lines += [f"left out: {name} ({why})" for name, why in result["skipped"].items()]
    return "\n".join(lines) + "\n"


def as_json(result):
    return json.dumps(result, indent=1) + "\n"


def markdown(result):
    """The README's table."""
    medians = {row["name"]: row["median"] for row in result["rows"]}
    lines = ["| what | poold | others |", "|---|---|---|"]
    for title, unit, name, others in README:
        if name in medians:
            beside = " · ".join(f"{other} {number(medians[row])}" for other, row in others if row in medians)
            lines.append(f"| {title} | {number(medians[name])} {unit.replace('us', 'µs')} | {beside} |")
    return "\n".join(lines) + "\n"
