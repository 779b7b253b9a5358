"""The words of the standard module `multiprocessing`, on poold: change the import, and a script's pool is observable, limited and crash-safe.

    from poold.multiprocessing import Pool

    with Pool(4) as pool:
        print(pool.map(abs, range(-5, 5)))

Functions and classes of the script itself are sent by value (with python3-cloudpickle), so that it needs no `if __name__ == "__main__"` and is never
run again in a worker. A worker that dies costs the one call that it ran: poold.WorkerLostError.
"""

from __future__ import annotations

from multiprocessing import AuthenticationError, BufferTooShort, ProcessError, TimeoutError, cpu_count

from .pool import Pool

__all__ = ["AuthenticationError", "BufferTooShort", "Pool", "ProcessError", "TimeoutError", "cpu_count"]
