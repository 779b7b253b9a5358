"""What the Python package writes and reads by hand, compared with the generated classes and with the contract's own test vectors. Needs no daemon."""

import json
import random
import struct
import unittest

from python_pool import PACKAGE

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value

import poold
from poold import errors
from poold._values import NotAValue, decode, encode
from poold._wire import FRAME_SIZE_MAX, FrameReader, frame, match_task, oneof_head, oneof_heads, read_varint, varint
from poold.spec import make_spec
from poold._traffic import match_result
from poold.v1 import stream_pb2, task_pb2, worker_pb2

VECTORS = PACKAGE.parents[1] / "common" / "proto" / "vectors"


def some_value(source, depth=0):
    kinds = ["none", "bool", "int", "float", "text"] + (["list", "dict"] * 2 if depth < 4 else [])
    kind = source.choice(kinds)
    if kind == "none":
        return None
    if kind == "bool":
        return source.random() < 0.5
    if kind == "int":
        return source.randint(-(2**53), 2**53)
    if kind == "float":
        return source.choice([source.uniform(-1e9, 1e9), 5e-324, 1.7976931348623157e308, 0.1])
    if kind == "text":
        return "".join(source.choice("aä\u2028\U0001f600\0\n ") for _ in range(source.choice([0, 3, 200])))
    if kind == "list":
        return [some_value(source, depth + 1) for _ in range(source.randint(0, 5))]
    return {f"k{number}": some_value(source, depth + 1) for number in range(source.randint(0, 5))}


class Values(unittest.TestCase):
    def test_random_values_are_written_as_the_generated_class_reads_them(self):
        source = random.Random(1)
        for _ in range(2000):
            value = some_value(source)
            data = encode(value)
            message = Value.FromString(data)
            self.assertEqual(json.loads(json_format.MessageToJson(message)), value)
            self.assertEqual(decode(data, 0, len(data)), value)
            again = message.SerializeToString(deterministic=True)
            self.assertEqual(decode(again, 0, len(again)), value)

    def test_types_that_json_has_no_word_for(self):
        for value in (object(), {1}, b"x", 1j, float("nan"), float("inf"), 2**53 + 1, -(2**53) - 1, {1: 1}, {"a": {None: 1}}, "\ud800", {"\ud800": 1}):
            with self.assertRaises(NotAValue):
                encode(value)

    def test_subclasses_are_their_base(self):
        class Text(str):
            pass

        class Count(int):
            pass

        self.assertEqual(encode([Text("a"), Count(3), (1, 2)]), encode(["a", 3, [1, 2]]))

    def test_garbage_is_an_error_never_a_value(self):
        source = random.Random(2)
        for _ in range(5000):
            data = bytes(source.randrange(256) for _ in range(source.randint(1, 12)))
            try:
                decode(data, 0, len(data))
            except (ValueError, IndexError, struct.error):
                pass


class Frames(unittest.TestCase):
    def test_varints(self):
        for number in [*range(300), 2**14 - 1, 2**14, 2**32, 2**53, 2**64 - 1]:
            self.assertEqual(read_varint(varint(number), 0), (number, len(varint(number))))
        self.assertEqual(len(varint(-1)), 10)

    def test_any_cut_gives_the_same_payloads(self):
        source = random.Random(3)
        payloads = [bytes(source.randrange(256) for _ in range(source.choice([0, 1, 5, 300, 70_000]))) for _ in range(50)]
        data = b"".join(frame(payload) for payload in payloads)
        for _ in range(20):
            reader, got, at = FrameReader(), [], 0
            while at < len(data):
                size = source.choice([1, 2, 4, 5, 6, 1000, 100_000])
                got += reader.feed(data[at : at + size])
                at += size
            self.assertEqual(got, payloads)
            self.assertFalse(reader.partial)

    def test_what_is_no_frame(self):
        for data in (b"\1\0\0\0\0", b"\0" + (FRAME_SIZE_MAX + 1).to_bytes(4, "big"), b"GET / HTTP/1.1\r\n"):
            with self.assertRaises(errors.ProtocolError):
                FrameReader().feed(data)

    def test_heads(self):
        heads = oneof_heads(2, 300)
        for size in (0, 1, 127, 128, 299):
            self.assertEqual(heads[size], oneof_head(2, size))
        with self.assertRaises(ValueError):
            oneof_head(2, FRAME_SIZE_MAX)


class Vectors(unittest.TestCase):
    """The contract's frames, through this package's own reader and its quick paths."""

    def vectors(self, name):
        for vector in json.loads((VECTORS / name).read_text(encoding="utf-8")):
            (payload,) = FrameReader().feed(bytes.fromhex(vector["hex"]))
            yield vector, payload

    def test_streams(self):
        seen = 0
        for vector, payload in self.vectors("stream.json"):
            match = match_result(payload) if vector["type"].endswith("ServerFrame") else None
            if match is None:
                continue
            seen += 1
            result = stream_pb2.ServerFrame.FromString(payload).result
            self.assertEqual((match[1], match[2]), (b"\x08" + varint(result.tag), varint(result.attempt)))
            self.assertEqual(task_pb2.Outcome.FromString(payload[match.end() :]), result.outcome)
        self.assertGreater(seen, 1)

    def test_workers(self):
        for _, payload in self.vectors("worker.json"):
            match = match_task(payload)
            if match is None:
                continue
            task = worker_pb2.ToWorker.FromString(payload).task
            self.assertEqual(match[1], b"\x08" + varint(task.task) + b"\x10" + varint(task.attempt))


class Specs(unittest.TestCase):
    def test_a_spec_is_what_the_generated_class_reads(self):
        spec = make_spec("add", (1, "x"), {"z": [True], "pool": "p", "name": "n", "key": "k", "priority": -5, "attempts": 3, "crash_attempts": 2, "labels": {"a": "b"}})
        message = task_pb2.TaskSpec.FromString(spec.bytes)
        self.assertEqual(
            json_format.MessageToDict(message),
            {
                "pool": "p", "name": "n", "key": "k", "priority": -5, "attempts": 3, "crashAttempts": 2, "labels": {"a": "b"},
                "function": {"name": "add", "args": [1.0, "x"], "kwargs": {"z": [True]}},
            },
        )  # fmt: skip

    def test_the_quick_way_and_the_other_give_the_same(self):
        for args, kwargs, options in (((), {}, {}), ((1, None), {}, {"pool": "p"}), ((), {"a": 1}, {"pool": "p", "priority": 3}), ((b"x",), {}, {"attempts": 2})):
            quick = make_spec("f", args, {**kwargs, **options})
            other = poold.TaskSpec(poold.Function("f", *args, **kwargs), **options)
            again = make_spec("f", args, {**kwargs, **options})
            self.assertEqual({quick.bytes, other.bytes, again.bytes}, {other.bytes})
            self.assertEqual({quick.tail, other.tail, again.tail}, {other.tail})


if __name__ == "__main__":
    unittest.main(verbosity=2)
