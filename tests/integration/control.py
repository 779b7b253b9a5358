"""Speaks the control plane: HTTP/1.1 on the Unix socket, Connect calls in JSON. Frames are in frames.py.

    control = Control("/run/poold/control.sock")
    control.call("Tasks/Submit", {"command": {"argv": ["true"]}})["id"]
"""

import base64
import http.client
import json
import socket
import time


class ConnectError(Exception):
    """A call was refused: Connect's code, the HTTP status and the message."""

    def __init__(self, status, code, message):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=None):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = connect(self.path, self.timeout)


def connect(path, timeout=None):
    """A raw connection. A full backlog answers EAGAIN to a socket with a time-out, so that is set only afterwards."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    connection.settimeout(timeout)
    return connection


class Control:
    """One client with one connection that is kept alive."""

    def __init__(self, path, timeout=60):
        self.path = path
        self.timeout = timeout
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def request(self, method, target, body=None, headers=None):
        """Status, headers and body as they come."""
        if self.connection is None:
            self.connection = UnixConnection(self.path, self.timeout)
        try:
            self.connection.request(method, target, body, headers or {})
            response = self.connection.getresponse()
            return response.status, response.headers, response.read()
        except BaseException:
            self.close()
            raise

    def get(self, target):
        """A readable alias: the parsed answer, or ConnectError."""
        return self._answer(*self.request("GET", target))

    def call(self, method, message=None, raw=None):
        """One Connect call; `raw` in place of a message is sent as it is."""
        body = raw if raw is not None else json.dumps(message or {}).encode()
        return self._answer(*self.request("POST", "/poold.v1." + method, body, {"Content-Type": "application/json"}))

    @staticmethod
    def _answer(status, _headers, body):
        if status == 200:
            return json.loads(body)
        try:
            error = json.loads(body)
            raise ConnectError(status, error["code"], error.get("message", ""))
        except (ValueError, KeyError, TypeError):
            raise ConnectError(status, "not Connect", body[:300]) from None

    # Short forms for what most tests do.

    def submit(self, argv=None, function=None, args=(), **spec):
        if argv is not None:
            spec["command"] = {"argv": list(argv), **spec.pop("command", {})}
        if function is not None:
            spec["function"] = {"name": function, "args": list(args)}
        return self.call("Tasks/Submit", spec)["id"]

    def task(self, task_id):
        return self.call("Tasks/Get", {"id": task_id})["task"]

    def wait(self, *ids, timeout=None):
        request = {"ids": list(ids)}
        if timeout is not None:
            request["timeout"] = f"{timeout}s"
        return self.call("Tasks/Wait", request)["tasks"]

    def run(self, argv=None, **spec):
        """Submits, waits and returns the ended task."""
        return self.wait(self.submit(argv, **spec))[0]

    def pool(self, name):
        return self.call("Pools/Get", {"name": name})["pool"]

    def workers(self, pool=""):
        return self.call("Workers/List", {"pool": pool})["workers"]

    def info(self):
        return self.call("Daemon/GetInfo")

    def output(self, task_id, attempt=0):
        """Everything the attempt wrote, as (stdout, stderr). The attempt must have ended."""
        out = {"STDOUT": b"", "STDERR": b""}
        offset = 0
        while True:
            answer = self.call("Tasks/Logs", {"id": task_id, "attempt": attempt, "offset": str(offset)})
            for chunk in answer["chunks"]:
                if chunk["stream"] in out:
                    out[chunk["stream"]] += base64.b64decode(chunk["data"])
            if answer["complete"] or int(answer["nextOffset"]) == offset:
                return out["STDOUT"], out["STDERR"]
            offset = int(answer["nextOffset"])


def ndjson_of_chunks(reader):
    """The JSON lines of a chunked HTTP body, as they arrive."""
    line = b""
    while True:
        size = int(reader.readline().split(b";")[0], 16)
        if size == 0:
            return
        data = reader.read(size)
        reader.readline()
        line += data
        while b"\n" in line:
            one, _, line = line.partition(b"\n")
            if one.strip():
                yield json.loads(one)


def eventually(predicate, seconds=10, what="condition"):
    """The one place where tests ask again and again, for what no event tells. Returns the predicate's first true value."""
    end = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)
