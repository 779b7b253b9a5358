"""The few parts of protobuf's wire format that the hot paths read and write by hand.

A frame with a no-op's result costs a fraction of a microsecond this way, where the generated classes take several. Everything rarer goes
through the generated messages. Values (google.protobuf.Value) are in _values.py. The format of frames is in common/proto/README.md, that of
fields in https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import re
import struct

from .errors import ProtocolError

FRAME_SIZE_MAX = 16 * 1024 * 1024
HEAD_SIZE = 5
# Every read asks for this much: as much as a pipe holds.
READ_SIZE = 64 * 1024

_head = struct.Struct(">BI")
pack_head = _head.pack
unpack_head = _head.unpack_from

# A varint, as bytes: any number of bytes with the high bit, then one without.
VARINT = rb"[\x80-\xff]*[\x00-\x7f]"


def varint(number: int) -> bytes:
    """An unsigned number below 2**64, or a negative one as protobuf writes it, in ten bytes."""
    if 0 <= number < 0x80:
        return _SMALL[number]
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_SMALL = [bytes((number,)) for number in range(0x80)]


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at this index, and the index after it. IndexError: the data ends within it."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    number = 0
    shift = 0
    while byte >= 0x80:
        number |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        byte = data[at]
    return number | byte << shift, at + 1


def bytes_field(number: int, data: bytes) -> bytes:
    """A field of type bytes, string or message. Its number must be below 16."""
    return bytes((number << 3 | 2,)) + varint(len(data)) + data


def frame(payload: bytes) -> bytes:
    """A frame around one message. ValueError: it is longer than a frame may be."""
    if len(payload) > FRAME_SIZE_MAX:
        raise ValueError(f"a message of {len(payload)} bytes; a frame takes {FRAME_SIZE_MAX}")
    return pack_head(0, len(payload)) + payload


def oneof_heads(number: int, count: int) -> list[bytes]:
    """What stands before a message of 0, 1, … bytes that is the field `number` of a frame: the frame's head, the field's key and length."""
    key = bytes((number << 3 | 2,))
    heads = []
    for size in range(count):
        inner = key + varint(size)
        heads.append(pack_head(0, len(inner) + size) + inner)
    return heads


def oneof_head(number: int, size: int) -> bytes:
    """One of these, for any size. ValueError: the frame would be too long."""
    inner = bytes((number << 3 | 2,)) + varint(size)
    if len(inner) + size > FRAME_SIZE_MAX:
        raise ValueError(f"a message of {size} bytes; a frame takes {FRAME_SIZE_MAX}")
    return pack_head(0, len(inner) + size) + inner


class FrameReader:
    """Cuts a stream of bytes into the payloads of its frames."""

    __slots__ = ("_parts", "_have", "_need")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._have = 0
        # How many bytes there must be before it is worth looking.
        self._need = HEAD_SIZE

    @property
    def partial(self) -> bool:
        """A frame has begun and is not complete."""
        return self._have > 0

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that are complete now. ProtocolError: these are no frames."""
        if self._have:
            # Joined only when the frame is whole, so that a large one is copied once.
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._parts)
        payloads: list[bytes] = []
        append = payloads.append
        at = 0
        size = len(data)
        need = HEAD_SIZE
        while size - at >= HEAD_SIZE:
            flag, length = unpack_head(data, at)
            if flag or length > FRAME_SIZE_MAX:
                raise ProtocolError(_complaint(flag, length))
            end = at + HEAD_SIZE + length
            if end > size:
                need = HEAD_SIZE + length
                break
            append(data[at + HEAD_SIZE : end])
            at = end
        self._have = size - at
        self._need = need
        self._parts = [data[at:]] if at < size else []
        return payloads


def _complaint(flag: int, length: int) -> str:
    if flag:
        return f"unknown flag {flag} in a frame's first byte (accepted: 0)"
    return f"a frame of {length} bytes (accepted: {FRAME_SIZE_MAX})"


# A worker's hot path: ToWorker.task with task, attempt, id, and the length of the spec, as the engine writes them. Group 1 is echoed in
# the result as it is. (What does not match is left to the generated classes. The client's counterpart is in _traffic.py.)
match_task = re.compile(rb"\x12" + VARINT + rb"(\x08" + VARINT + rb"\x10" + VARINT + rb")(?:\x1a\x24(.{36}))?\x22(" + VARINT + rb")", re.DOTALL).match
