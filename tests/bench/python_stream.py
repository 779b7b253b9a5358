"""Many small tasks through one stream of the Python package: python_stream.py spec|submit|values POOL COUNT, with the socket in POOLD_SOCKET.

Calls the function `noop` of that pool (spec: encoded once, submit: encoded each time) or `add` with two numbers (values), all submitted as fast as
the stream takes them. Every result is looked at. Prints lines of a name and a number, like the programs beside it.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "client" / "python"))
import poold  # noqa: E402  pylint: disable=wrong-import-position


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("spec", "submit", "values"):
        sys.exit("usage: python_stream.py spec|submit|values POOL COUNT")
    what, pool, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    spec = poold.TaskSpec(poold.Function("noop"), pool=pool)
    with poold.Client().stream() as stream:
        stream.submit_spec(spec).result()
        begin, begin_cpu = time.perf_counter(), time.process_time()
        if what == "spec":
            futures = [stream.submit_spec(spec) for _ in range(count)]
        elif what == "submit":
            futures = [stream.submit("noop", pool=pool) for _ in range(count)]
        else:
            futures = [stream.submit("add", number, 1, pool=pool) for number in range(count)]
        results = [future.result() for future in futures]
        seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - begin_cpu
    expected = [None] * count if what != "values" else [number + 1 for number in range(count)]
    if results != expected:
        sys.exit("a wrong result")
    print(f"tasks_per_s {count / seconds:.0f}")
    print(f"client_cpu_us {cpu_seconds / count * 1e6:.2f}")


if __name__ == "__main__":
    main()
