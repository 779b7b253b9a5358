"""How long, and how often, a client tries to reach a daemon that it has lost: the engine died and the supervisor starts another one, or the daemon is
restarted. Decides, and has the words; who connects is in client.py, _traffic.py and _follow.py.
"""

from __future__ import annotations

from time import monotonic, sleep

LIMIT_DEFAULT_S = 30.0
# A dead engine is replaced within milliseconds; a daemon that is away for seconds is not missed by a second.
_PAUSE_MIN_S, _PAUSE_MAX_S = 0.01, 1.0
# A connection that held so long was a good one: when it breaks, that is another outage.
_GOOD_S = 5.0


class Outage:
    """One time without a daemon. limit_s: how long it may last."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.begin()

    def begin(self) -> None:
        """From now on the limit counts."""
        self._since = monotonic()
        self._pause_s = _PAUSE_MIN_S

    def again(self, connected_at: float) -> None:
        """A connection made at this time has broken. What breaks at once belongs to the same outage, so that nobody connects for ever to a daemon that
        only dies."""
        if monotonic() - connected_at >= _GOOD_S:
            self.begin()

    def left_s(self) -> float:
        """How much longer it may last."""
        return self._since + self.limit_s - monotonic()

    def next_pause_s(self) -> float | None:
        """How long to wait before the next try; None: the time is up."""
        left = self.left_s()
        if left <= 0:
            return None
        pause = min(self._pause_s, left)
        self._pause_s = min(2 * self._pause_s, _PAUSE_MAX_S)
        return pause

    def pause(self) -> bool:
        """Waits before the next try. False: the time is up."""
        pause = self.next_pause_s()
        if pause is None:
            return False
        sleep(pause)
        return True

    def over(self, reason: object) -> str:
        """What to say when the time is up."""
        return f"the connection to the daemon broke and did not come back within {self.limit_s:g} s: {reason}"


def checked_limit(limit_s: float) -> float:
    """ValueError: this is no number of seconds."""
    if not limit_s >= 0:
        raise ValueError(f"reconnect: a number of seconds from 0 on is wanted, not {limit_s!r}")
    return limit_s


def forgotten(task_id: str) -> str:
    """Of a task that was accepted, and is not known after a restart."""
    return f"task {task_id} is lost: the daemon was restarted and does not know it any more (a pool with durability: memory loses its tasks then)"
