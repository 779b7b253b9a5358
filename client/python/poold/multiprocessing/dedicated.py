"""Process(pool="name"): in a daemon that runs, with the program, user and limits of that pool, beside its workers.

There it is a task (Processes in common/proto/poold/v1/processes.proto): `poolctl process ls` shows it, its output is the task's log, and any client
can join or kill it. The process object travels as a call does (../_by_value.py); descriptors cannot travel along.
"""

from __future__ import annotations

import copy
import os
import pickle
import sys
import traceback
from multiprocessing import util
from multiprocessing.process import BaseProcess, current_process
from threading import Event, Thread

from google.protobuf.duration_pb2 import Duration

from .._by_value import CONTENT_TYPE, dumps_apart
from .._crew import shared_pool
from ..client import Client
from ..errors import CallError, NotFound, WrongState
from ..v1 import processes_pb2, task_pb2

_CALL = "poold.worker.pickled:call_pickled"
# Asked again as long as it lives.
_JOIN_S = 30
# As the standard module's fork server says of a child of which nobody knows what became of it.
_NOT_KNOWN = 255
_SIGTERM, _SIGKILL = 15, 9


class Popen:
    """One started process, as BaseProcess wants to see it."""

    method = "poold"

    def __init__(self, process: BaseProcess, pool: str) -> None:
        shared = shared_pool(pool)
        assert shared is not None
        self._client = Client()
        # A daemon process ends with the connection that started it.
        self._starter = Client(self._client.socket, reconnect=0)
        payload = task_pb2.Payload(content_type=CONTENT_TYPE, data=dumps_apart((run, (_travelling(process),), {})))
        task = task_pb2.TaskSpec(pool=shared.name, name=process.name, function=task_pb2.Function(name=_CALL, payload=payload))
        request = processes_pb2.StartProcessRequest(task=task, daemon=process.daemon)
        try:
            started = self._starter.request("Processes/Start", request, processes_pb2.StartProcessResponse).process
        finally:
            if not process.daemon:
                self._starter.close()
        self.pid, self.task_id = started.pid, started.id
        self.returncode: int | None = None
        self._ended = Event()
        self.sentinel, self._alive = os.pipe()  # readable when it has ended
        self.finalizer = util.Finalize(self, _let_go, (self.sentinel, self._starter))
        Thread(target=self._watch, name=f"poold: {process.name}", daemon=True).start()

    def _watch(self) -> None:
        request = processes_pb2.JoinProcessRequest(id=self.task_id, timeout=Duration(seconds=_JOIN_S))
        code = None
        try:
            while code is None:
                process = self._client.request("Processes/Join", request, processes_pb2.JoinProcessResponse).process
                code = _exit_code(process) if process.HasField("exit_code") else None
        except CallError:  # the daemon has gone, or has forgotten it with an engine
            code = _NOT_KNOWN
        finally:
            self._client.close()
            self.returncode = code
            self._ended.set()
            os.close(self._alive)

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """Its exit code; None while it lives."""
        return self.wait(0 if flag == os.WNOHANG else None)

    def wait(self, timeout: float | None = None) -> int | None:
        """The same, at the end or after so many seconds."""
        self._ended.wait(timeout)
        return self.returncode

    def terminate(self) -> None:
        """SIGTERM"""
        self._signal(_SIGTERM)

    def kill(self) -> None:
        """SIGKILL"""
        self._signal(_SIGKILL)

    def _signal(self, number: int) -> None:
        if self._ended.is_set():
            return
        request = processes_pb2.KillProcessRequest(id=self.task_id, signal=number)
        with Client(self._client.socket) as client:
            try:
                client.request("Processes/Kill", request, processes_pb2.KillProcessResponse)
            except (WrongState, NotFound):  # it has just ended
                pass

    def close(self) -> None:
        """Gives back what it has here."""
        self.finalizer()


def _let_go(sentinel: int, starter: Client) -> None:
    os.close(sentinel)
    starter.close()


def _travelling(process: BaseProcess) -> BaseProcess:
    """Without what is this program's own."""
    copied = copy.copy(process)
    copied._config = {key: value for key, value in process._config.items() if key not in ("authkey", "semprefix")}  # type: ignore[attr-defined]
    copied._popen = None  # type: ignore[attr-defined]
    return copied


def run(process: BaseProcess) -> None:
    """In the worker: what the standard module does in a child."""
    process._config["authkey"] = current_process().authkey  # type: ignore[attr-defined]
    sys.modules["multiprocessing.process"]._current_process = process  # type: ignore[attr-defined]
    try:
        process.run()
    except SystemExit as error:
        code = error.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
        # Ending the worker with this code would cost what was printed last.
        if code:
            raise SystemExit(code & 0xFF) from None
    except Exception:
        sys.stderr.write(f"Process {process.name}:\n")
        traceback.print_exc()
        raise
    finally:
        util._flush_std_streams()  # type: ignore[attr-defined]


def _exit_code(process: processes_pb2.Process) -> int:
    outcome = process.outcome
    if outcome.kind == task_pb2.Outcome.RAISED and outcome.error.type == "SystemExit":
        return int(pickle.loads(outcome.payload.data).code)
    return process.exit_code
