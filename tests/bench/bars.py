"""The figures that the project watches, each with the bar of its design beside it. They are shown, and nothing is judged here.

A watched figure is a row, or a row divided by another.
"""

import dataclasses


@dataclasses.dataclass
class Watched:
    name: str
    above: str
    below: str  # empty: the row itself
    bar: str


WATCHED = [
    Watched("noop_window_1024", "noop_cpp_window_1024", "", ">= 1,000,000 tasks/s, or the next three"),
    Watched("noop_over_pool_map", "noop_cpp_window_1024", "peer_pool_map", ">= 15"),
    Watched("noop_over_pool_apply_async", "noop_cpp_window_1024", "peer_pool_apply_async", ">= 30"),
    Watched("noop_over_raw_hops", "noop_cpp_window_1024", "limit_hops_window_1024", ">= 0.2"),
    Watched("round_trip_over_raw_hops", "noop_cpp_round_trip_p50", "limit_hops_round_trip_p50", "<= 1.5"),
    Watched("round_trip_over_pool_apply", "noop_cpp_round_trip_p50", "peer_pool_apply_p50", "<= 0.5"),
    Watched("command_stream_over_spawn", "command_stream", "limit_spawn_width_2", ">= 0.9"),
    Watched("command_stream_over_xargs", "command_stream", "peer_xargs_width_2", ">= 1.3"),
    Watched("command_map_over_spawn", "command_map", "limit_spawn_width_2", ">= 0.9"),
    Watched("command_map_over_xargs", "command_map", "peer_xargs_width_2", ">= 1.3"),
    Watched("python_stream_over_pool_apply_async", "python_client_and_worker", "peer_pool_apply_async", ">= 3 (of the facade)"),
    Watched("python_pool_apply_async_over_standard", "python_pool_apply_async_ratio", "", ">= 3"),
    Watched("python_pool_map_one_by_one_over_standard", "python_pool_map_one_by_one_ratio", "", ">= 2"),
    Watched("python_pool_map_over_standard", "python_pool_map_ratio", "", ">= 1"),
    Watched("python_arrays_over_standard", "python_arrays_map_ratio", "", ">= 3"),
    Watched("durable_accepted", "noop_cpp_durable_accepted", "", ">= 100,000 tasks/s"),
    Watched("durable_completed", "noop_cpp_durable_window_16384", "", ">= 50,000 tasks/s"),
    Watched("restart_with_100k_queued", "restart_daemon_100k_queued_to_ready", "", "< 500 ms"),
    Watched("cost_at_1m_over_1k_queued", "noop_cpp_queued_1k", "noop_cpp_queued_1m", "<= 1.3"),
    Watched("engine_with_1m_queued", "memory_engine_1m_queued_pss", "", "<= 400 MiB"),
    Watched("supervisor_uss", "memory_supervisor_uss", "", "<= 4 MiB"),
    Watched("supervisor_pss", "memory_supervisor_pss", "", "<= 8 MiB"),
    Watched("engine_idle_pss", "memory_engine_idle_pss", "", "<= 20 MiB"),
    Watched("death_to_ready_p99", "death_to_ready_p99", "", "< 50 ms"),
    Watched("death_requeue_p99", "death_requeue_p99", "", "< 20 ms"),
]


def watched(rows):
    """Name -> value, bar, and what it is of, for those whose rows were measured."""
    medians = {row["name"]: row["median"] for row in rows}
    found = {}
    for one in WATCHED:
        if one.above in medians and (not one.below or medians.get(one.below)):
            value = medians[one.above] / (medians[one.below] if one.below else 1)
            of = f"{one.above} / {one.below}" if one.below else one.above
            found[one.name] = {"value": round(value, 3), "bar": one.bar, "of": of}
    return found
