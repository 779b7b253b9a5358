"""Queues of messages between processes: order, bounds, time-outs, and what becomes of a message whose getter dies."""

import base64
import http.client
import json
import os
import socket
import struct
import threading

import harness
from control import connect, eventually
from sync_clients import Program


def message(text, content_type="text/plain"):
    return {"contentType": content_type, "data": base64.b64encode(text.encode()).decode(), "sharedSize": "0"}


def texts(answer):
    return [base64.b64decode(one["data"]).decode() for one in answer["messages"]]


class Queues(harness.DaemonTest):
    def setUp(self):
        self.poold = self.daemon()
        self.control = self.poold.client()

    def make(self, name="q", **settings):
        return self.control.call("Queues/Create", {"name": name, **settings})["queue"]

    def put(self, *words, control=None, **settings):
        return (control or self.control).call("Queues/Put", {"queue": "q", "messages": [message(word) for word in words], **settings})["put"]

    def get(self, control=None, **settings):
        return texts((control or self.control).call("Queues/Get", {"queue": "q", **settings}))

    def queue(self, name="q"):
        return self.control.call("Queues/List", {"name": name})["queues"][0]

    def waiting(self, **expected):
        eventually(lambda: all(self.queue()[key] == value for key, value in expected.items()), 20 * harness.PATIENCE, expected)

    def test_messages_come_out_in_their_order_with_their_types(self):
        self.make()
        self.assertEqual(self.put("a", "b", "c"), 3)
        answer = self.control.call("Queues/Get", {"queue": "q", "count": 2})
        self.assertEqual(answer, {"messages": [message("a"), message("b")]})
        self.assertEqual(self.get(), ["c"])
        self.assertEqual(self.get(timeout="0s"), [])

    def test_getter_waits_while_other_connections_go_on(self):
        self.make()
        with Program(self.poold.socket, ("Queues/Get", {"queue": "q"})) as first, Program(self.poold.socket, ("Queues/Get", {"queue": "q"})) as second:
            self.waiting(getting=2)
            self.put("a", "b")
            self.assertEqual(sorted(texts(first.answer()) + texts(second.answer())), ["a", "b"])

    def test_full_queue_lets_putters_wait(self):
        self.make(lengthMax=1)
        self.put("a")
        self.assertEqual(self.put("b", timeout="0s"), 0)
        with Program(self.poold.socket, ("Queues/Put", {"queue": "q", "messages": [message("b"), message("c")]})) as putter:
            self.waiting(putting=1)
            self.assertEqual([self.get(), self.get(), self.get()], [["a"], ["b"], ["c"]])
            self.assertEqual(putter.answer(), {"put": 2})

    def test_time_out_of_a_get(self):
        self.make()
        self.assertEqual(self.get(timeout="0.050s"), [])
        self.assertEqual(self.queue()["getting"], 0)

    def test_killed_getter_that_waits_takes_nothing(self):
        self.make()
        with Program(self.poold.socket, ("Queues/Get", {"queue": "q"})) as getter:
            self.waiting(getting=1)
            getter.kill()
        self.waiting(getting=0)
        self.put("a")
        self.assertEqual(self.get(), ["a"])

    def send(self, method, request):
        """A client that writes a request and does not read."""
        raw = connect(self.poold.socket, 60)
        body = json.dumps(request).encode()
        raw.sendall(b"POST /poold.v1.%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (method.encode(), len(body), body))
        return raw

    def test_message_that_nobody_read_goes_back_to_the_head(self):
        self.make()
        for number in range(100):
            raw = self.send("Queues/Get", {"queue": "q"})
            self.waiting(getting=1)
            self.put("first", "second")
            self.waiting(getting=0)
            raw.close()  # the answer lies in its socket, unread
            self.waiting(length=2)
            self.assertEqual(self.get(count=2), ["first", "second"], number)

    def test_message_that_was_read_does_not_come_back(self):
        self.make()
        self.put("a", "b")
        reader = self.poold.client()
        self.assertEqual(self.get(control=reader), ["a"])
        reader.close()
        self.assertEqual(self.get(count=10), ["b"])
        self.assertEqual(self.get(timeout="0s"), [])

    def test_large_message_that_was_read_in_part_goes_back(self):
        self.make()
        large = "x" * (8 << 20)
        self.put(large)
        raw = self.send("Queues/Get", {"queue": "q"})
        self.assertTrue(raw.recv(1000).startswith(b"HTTP/1.1 200"))
        raw.close()
        self.waiting(length=1)
        self.assertEqual(self.get(), [large])

    def test_many_producers_and_consumers(self):
        self.make(lengthMax=10)
        got, lock = [], threading.Lock()

        def produce(who):
            control = self.poold.client()
            for number in range(200):
                self.put(f"{who}/{number}", control=control)

        def consume():
            control = self.poold.client()
            while True:
                for text in self.get(control=control, count=3):
                    if text == "end":
                        return
                    with lock:
                        got.append(text)

        producers = [threading.Thread(target=produce, args=(who,)) for who in range(4)]
        consumers = [threading.Thread(target=consume) for _ in range(4)]
        for thread in producers + consumers:
            thread.start()
        for thread in producers:
            thread.join()
        for _ in consumers:  # one by one: each takes what is there
            self.waiting(length=0)
            self.put("end")
        for thread in consumers:
            thread.join()
        self.assertEqual(sorted(got), sorted(f"{who}/{number}" for who in range(4) for number in range(200)))

    def test_killing_producers_and_consumers_loses_nothing_that_was_acknowledged(self):
        self.make()
        put = []
        for number in range(30):
            with Program(self.poold.socket, ("Queues/Put", {"queue": "q", "messages": [message(str(number))]}), ("Queues/Get", {"queue": "nothing"})) as producer:
                self.assertEqual(producer.answer(), {"put": 1})
                put.append(str(number))
                producer.kill()
        got = self.get(count=10_000)
        self.assertEqual(got, put)

    def test_temporary_queue_goes_with_its_connection(self):
        with Program(self.poold.socket, ("Queues/Create", {"temporary": True})) as owner:
            name = owner.answer()["queue"]["name"]
            with Program(self.poold.socket, ("Queues/Get", {"queue": name})) as getter:
                eventually(lambda: self.queue(name)["getting"] == 1, 20 * harness.PATIENCE)
                owner.kill()
                self.assertEqual(getter.answer(), {"error": "not_found"})
        self.assertEqual(self.control.call("Queues/List")["queues"], [])

    def test_closed_queue_gives_what_it_has_and_goes(self):
        self.make()
        self.put("a")
        self.control.call("Queues/Delete", {"name": "q", "drain": True})
        self.refused("failed_precondition", self.put, "b")
        self.assertTrue(self.queue()["closed"])
        self.assertEqual(self.get(), ["a"])
        self.refused("not_found", self.get)

    def test_names(self):
        made = self.make()
        self.assertEqual((made["lengthMax"], made["bytesMax"]), (1_000_000, str(64 << 20)))
        self.refused("already_exists", self.make)
        self.assertTrue(self.control.call("Queues/Create", {"name": "q", "orOpen": True, "lengthMax": 3})["existed"])
        other = self.make("")["name"]
        self.assertNotEqual(other, self.make("")["name"])
        self.control.call("Queues/Delete", {"name": other})
        self.refused("not_found", self.control.call, "Queues/Delete", {"name": other})

    def test_what_is_wrong_is_named(self):
        self.make(bytesMax=100)
        for method, request, code, word in (
            ("Queues/Get", {"queue": "x"}, "not_found", "queue: there is no queue 'x'"),
            ("Queues/Put", {"queue": "q"}, "invalid_argument", "messages: empty"),
            ("Queues/Put", {"queue": "q", "messages": [message("x" * 101)]}, "invalid_argument", "bytesMax"),
            ("Queues/Get", {"queue": "q", "count": 10_001}, "invalid_argument", "count: more than 10000"),
            ("Queues/Get", {"queue": "q", "timeout": "-1s"}, "invalid_argument", "timeout: negative"),
            ("Queues/Create", {"name": "a\nb"}, "invalid_argument", "name: "),
            ("Queues/Create", {"lengthMax": 1_000_001}, "invalid_argument", "lengthMax: "),
            ("Queues/Create", {"bytesMax": str(1 << 31)}, "invalid_argument", "bytesMax: "),
        ):
            error = self.refused(code, self.control.call, method, request)
            self.assertIn(word, error.message)


if __name__ == "__main__":
    harness.main()
