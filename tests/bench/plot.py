"""Throughput and latency against window and payload, as an SVG file. Knows the rows by name; chart.py draws.

Rows that were not measured are left out of their line.
"""

import chart

WINDOWS = [1, 4, 16, 64, 256, 1024]
PAYLOADS = [("1kib", 1 << 10), ("16kib", 1 << 14), ("64kib", 1 << 16), ("256kib", 1 << 18), ("1mib", 1 << 20)]


def points(medians, named):
    return [(x, medians[name]) for x, name in named if name in medians]


def level(medians, name, xs):
    """A peer that has no window: the same everywhere."""
    return [(xs[0], medians[name]), (xs[-1], medians[name])] if name in medians else []


def throughput_by_window(medians):
    return chart.Chart("functions that do nothing", "tasks in flight", "tasks/s", [
        chart.Series("poold", 0, points(medians, [(w, f"noop_cpp_window_{w}") for w in WINDOWS])),
        chart.Series("raw bytes, four hops", 1, points(medians, [(w, f"limit_hops_window_{w}") for w in (1, 64, 1024)]), dashed=True),
        chart.Series("Pool.map(chunksize=1)", 2, level(medians, "peer_pool_map", WINDOWS), dashed=True),
        chart.Series("Pool.apply_async", 3, level(medians, "peer_pool_apply_async", WINDOWS), dashed=True),
    ])


def latency_by_window(medians):
    names = [(1, "noop_cpp_round_trip_p50")] + [(w, f"noop_cpp_window_{w}_p50") for w in WINDOWS[1:]]
    return chart.Chart("latency of functions that do nothing", "tasks in flight", "median, µs", [
        chart.Series("poold", 0, points(medians, names)),
        chart.Series("raw bytes, one in flight", 1, level(medians, "limit_hops_round_trip_p50", WINDOWS), dashed=True),
        chart.Series("Pool.apply, one in flight", 2, level(medians, "peer_pool_apply_p50", WINDOWS), dashed=True),
    ])


def throughput_by_payload(medians):
    return chart.Chart("payloads there and back", "bytes of a payload", "MB/s each way", [
        chart.Series("poold, 16 in flight", 0, points(medians, [(size, f"echo_cpp_{name}_mb") for name, size in PAYLOADS])),
    ])


def latency_by_payload(medians):
    return chart.Chart("latency of payloads there and back", "bytes of a payload", "median, µs", [
        chart.Series("poold, one in flight", 0, points(medians, [(size, f"echo_cpp_{name}_round_trip_p50") for name, size in PAYLOADS])),
    ])


def write(path, rows):
    medians = {row["name"]: row["median"] for row in rows}
    charts = [throughput_by_window(medians), latency_by_window(medians), throughput_by_payload(medians), latency_by_payload(medians)]
    with open(path, "w", encoding="utf-8") as file:
        file.write(chart.document(charts))
