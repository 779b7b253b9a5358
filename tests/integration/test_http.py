"""Bytes on the wire of the control plane, well-formed and not, and their limits."""

import json
import os
import time
import unittest

import harness
from control import connect, eventually
from frames import read_to_end

JSON = "Content-Type: application/json\r\n"


def request_text(target, body=b"", method="POST", headers=JSON):
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Http(harness.DaemonTest):
    """Bytes on the wire, well-formed and not."""

    def setUp(self):
        self.here = self.daemon().wait_ready()

    def exchange(self, data, seconds=20):
        with connect(self.here.socket) as connection:
            try:
                connection.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return read_to_end(connection, seconds * harness.PATIENCE)

    def assertUnharmed(self):
        self.assertEqual(self.here.client().run(["true"])["state"], "SUCCEEDED")

    def test_keep_alive(self):
        control = self.here.client()
        control.info()
        first = control.connection.sock
        for _ in range(20):
            control.info()
        self.assertIs(control.connection.sock, first)

    def test_pipelined_requests_are_answered_in_order(self):
        control = self.here.client()
        slow = control.submit(["sleep", "0.3"])
        wait = request_text("/poold.v1.Tasks/Wait", json.dumps({"ids": [slow]}).encode())
        info = request_text("/poold.v1.Daemon/GetInfo", b"{}")
        missing = request_text("/poold.v1.Tasks/Get", b'{"id": "x"}', headers=JSON + "Connection: close\r\n")
        answer = self.exchange(wait + info + missing).decode()
        places = [answer.index(word) for word in ('"SUCCEEDED"', '"enginePid"', '"not_found"')]
        self.assertEqual(places, sorted(places))
        self.assertEqual(answer.count("HTTP/1.1 "), 3)

    def test_chunked_body(self):
        body = b'{"command": {"argv": ["true"]}}'
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:6], body[6:])) + b"0\r\n\r\n"
        head = f"POST /poold.v1.Tasks/Submit HTTP/1.1\r\nHost: x\r\n{JSON}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        self.assertIn(b'"id"', self.exchange(head.encode() + chunks))

    def test_request_byte_by_byte(self):
        with connect(self.here.socket) as connection:
            for byte in request_text("/poold.v1.Daemon/GetInfo", b"{}", headers=JSON + "Connection: close\r\n"):
                connection.send(bytes([byte]))
            self.assertIn(b'"enginePid"', read_to_end(connection, 20))

    def test_http_1_0(self):
        self.assertIn(b'"enginePid"', self.exchange(b"GET /v1/info HTTP/1.0\r\n\r\n"))

    def test_header_block_above_its_limit(self):
        answer = self.exchange(b"GET /v1/info HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * (17 << 10) + b"\r\n\r\n")
        self.assertRegex(answer, rb"^HTTP/1.1 (431|400) ")
        answer = self.exchange(b"GET /v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: " + b"x" * (15 << 10) + b"\r\n\r\n")
        self.assertRegex(answer, rb"^HTTP/1.1 200 ")
        self.assertUnharmed()

    def test_header_that_never_ends(self):
        self.exchange(b"GET /v1/info HTTP/1.1\r\n" + b"X: y\r\n" * 1_000_000)
        self.assertUnharmed()

    def test_body_above_its_limit(self):
        head = f"POST /poold.v1.Tasks/Submit HTTP/1.1\r\nHost: x\r\n{JSON}Content-Length: {1 << 40}\r\n\r\n"
        answer = self.exchange(head.encode() + b"{" + b" " * 100_000)
        self.assertRegex(answer, rb"^HTTP/1.1 (413|429) ")
        self.assertIn(b"resource_exhausted", answer)
        self.assertUnharmed()

    def test_half_a_header_is_closed_after_five_seconds(self):
        with connect(self.here.socket) as connection:
            connection.sendall(b"GET /v1/info HTTP/1.1\r\nHost: ")
            begin = time.monotonic()
            read_to_end(connection, 20 * harness.PATIENCE)
            self.assertGreater(time.monotonic() - begin, 4)
            self.assertLess(time.monotonic() - begin, 8 * harness.PATIENCE)

    def test_idle_connection_is_kept(self):
        control = self.here.client()
        control.info()
        used = control.connection.sock
        deadline = time.monotonic() + 6
        eventually(lambda: time.monotonic() > deadline, 10, "six seconds pass")
        control.info()
        self.assertIs(control.connection.sock, used)

    def test_garbage(self):
        for data in (b"\0" * 1000, b"\xff\xfe\xfd" * 100 + b"\r\n\r\n", b"HELLO\r\n\r\n", b"GET\r\n\r\n", os.urandom(5000) + b"\r\n\r\n"):
            answer = self.exchange(data)
            self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200])
        self.assertUnharmed()

    def test_conflicting_lengths(self):
        both = "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"
        for headers in ("Content-Length: 2\r\nContent-Length: 3\r\n", "Content-Length: -1\r\n", both):
            answer = self.exchange(f"POST /poold.v1.Daemon/GetInfo HTTP/1.1\r\nHost: x\r\n{JSON}{headers}\r\n".encode() + b"{}")
            self.assertRegex(answer, rb"^HTTP/1.1 4", headers)

    def test_client_that_leaves_while_it_waits(self):
        control = self.here.client()
        slow = control.submit(["sleep", "100"])
        for _ in range(20):
            with connect(self.here.socket) as connection:
                connection.sendall(request_text("/poold.v1.Tasks/Wait", json.dumps({"ids": [slow]}).encode()))
        self.assertUnharmed()
        control.call("Tasks/Cancel", {"id": slow})

    def test_client_that_never_reads_its_answers(self):
        control = self.here.client()
        control.wait(*[control.submit(["true"], name="x" * 255) for _ in range(300)])
        with connect(self.here.socket, 0.5) as connection:
            request = request_text("/poold.v1.Tasks/List", b'{"pageSize": 1000}')
            sent, end = 0, time.monotonic() + 20
            try:
                while sent < 64 << 20 and time.monotonic() < end:
                    sent += connection.send(request * 100)
            except (TimeoutError, BrokenPipeError, ConnectionResetError):
                pass
            self.assertLess(sent, 64 << 20)  # back-pressure, not memory
            self.assertUnharmed()


if __name__ == "__main__":
    unittest.main(verbosity=2)
