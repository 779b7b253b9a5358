"""JSON values as google.protobuf.Value, written and read by hand: arguments and results of typed calls.

Python's None, bool, int, float, str, list, tuple and dict with text keys. Numbers are doubles on the wire, so integers beyond ±2**53 are refused,
never rounded, and a whole number comes back as int (2.0 as 2). A tuple comes back as list. Nothing here knows frames or tasks.
"""

from __future__ import annotations

import struct
from math import isfinite
from ._wire import read_varint, varint

TYPE_CHECKING = False  # typing itself is not loaded, for the sake of workers
if TYPE_CHECKING:
    from typing import Any, Callable

INTEGER_MAX = 2**53
# Messages within messages that a protobuf reader follows are 100 deep; around a value there are up to six.
_DEPTH_MAX = 90

_double = struct.Struct("<Bd")
_pack_double = _double.pack
_unpack_double = struct.Struct("<d").unpack_from


class NotAValue(ValueError):
    """This is no JSON value. The message says where and why."""



def _of_none(_value: None, _depth: int) -> bytes:
    return b"\x08\x00"


def _of_bool(value: bool, _depth: int) -> bytes:
    return b"\x20\x01" if value else b"\x20\x00"


def _of_int(value: int, _depth: int) -> bytes:
    if -INTEGER_MAX <= value <= INTEGER_MAX:
        return _pack_double(0x11, value)
    shown = str(value) if value.bit_length() < 200 else f"{value.bit_length()} bits long"
    raise NotAValue(f": an integer beyond ±2^53 ({shown}); send a text or bytes instead")


def _of_float(value: float, _depth: int) -> bytes:
    if isfinite(value):
        return _pack_double(0x11, value)
    raise NotAValue(f": {float(value)!r} is no JSON number")


def _of_str(value: str, _depth: int) -> bytes:
    try:
        data = value.encode()
    except UnicodeEncodeError as error:
        raise NotAValue(f": a text that UTF-8 cannot hold ({error.reason})") from None
    return b"\x1a" + varint(len(data)) + data


def _of_list(value: list[Any] | tuple[Any, ...], depth: int) -> bytes:
    if depth > _DEPTH_MAX:
        raise NotAValue(": nested too deep, or in a circle")
    parts = []
    index = 0
    try:
        for item in value:
            data = encode(item, depth + 2)
            parts.append(b"\x0a" + varint(len(data)))
            parts.append(data)
            index += 1
    except NotAValue as error:
        raise NotAValue(f"[{index}]{error}") from None
    items = b"".join(parts)
    return b"\x32" + varint(len(items)) + items


def _of_dict(value: dict[str, Any], depth: int) -> bytes:
    if depth > _DEPTH_MAX:
        raise NotAValue(": nested too deep, or in a circle")
    parts = []
    key: object = None
    try:
        for key, item in value.items():
            entry = map_entry(key, encode(item, depth + 3))
            parts.append(b"\x0a" + varint(len(entry)))
            parts.append(entry)
    except NotAValue as error:
        raise NotAValue(f"[{key!r}]{error}") from None
    entries = b"".join(parts)
    return b"\x2a" + varint(len(entries)) + entries


def map_entry(key: object, data: bytes) -> bytes:
    """An entry of a map from texts to messages."""
    if not isinstance(key, str):
        raise NotAValue(f": a key that is no text ({type(key).__name__})")
    try:
        name = key.encode()
    except UnicodeEncodeError:
        raise NotAValue(": a key that UTF-8 cannot hold") from None
    return b"\x0a" + varint(len(name)) + name + b"\x12" + varint(len(data)) + data


_encoders: dict[type, Callable[[Any, int], bytes]] = {
    type(None): _of_none,
    bool: _of_bool,
    int: _of_int,
    float: _of_float,
    str: _of_str,
    list: _of_list,
    tuple: _of_list,
    dict: _of_dict,
}


def encode(value: object, depth: int = 0) -> bytes:
    """The bytes of a Value. NotAValue, with a message that begins with the place in the value, for what JSON cannot carry."""
    encoder = _encoders.get(type(value))
    if encoder is None:
        encoder = _encoder_of_subclass(value)
    return encoder(value, depth)


def _encoder_of_subclass(value: object) -> Callable[[Any, int], bytes]:
    for base in (int, float, str, list, tuple, dict):
        if isinstance(value, base):
            return _encoders[base]
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    raise NotAValue(f": {name} is no JSON value")


def decode(data: bytes, at: int, end: int) -> Any:
    """The value in data[at:end]. ValueError or IndexError: not one."""
    if at == end:
        return None
    key = data[at]
    if key == 0x11:
        if end - at != 9:
            raise ValueError("a broken number")
        number: float = _unpack_double(data, at + 1)[0]
        whole = int(number) if -INTEGER_MAX <= number <= INTEGER_MAX else number
        return whole if whole == number else number
    if key in (0x08, 0x20):
        number, at = read_varint(data, at + 1)
        if at != end:
            raise ValueError("a broken value")
        return bool(number) if key == 0x20 else None
    size, at = read_varint(data, at + 1)
    if at + size != end:
        raise ValueError("a broken value")
    if key == 0x1A:
        return data[at:end].decode()
    if key == 0x32:
        return _decode_list(data, at, end)
    if key == 0x2A:
        return _decode_dict(data, at, end)
    raise ValueError("a value of an unknown kind")


def _decode_list(data: bytes, at: int, end: int) -> list[Any]:
    items = []
    while at < end:
        if data[at] != 0x0A:
            raise ValueError("a broken list")
        size, at = read_varint(data, at + 1)
        items.append(decode(data, at, at + size))
        at += size
    return items


def _decode_dict(data: bytes, at: int, end: int) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    while at < end:
        if data[at] != 0x0A:
            raise ValueError("a broken map")
        size, at = read_varint(data, at + 1)
        key, value = decode_entry(data, at, at + size)
        entries[key] = value
        at += size
    return entries


def decode_entry(data: bytes, at: int, end: int) -> tuple[str, Any]:
    """One entry of a map from texts to values. A field that has its default may be missing."""
    key, value = "", None
    while at < end:
        field = data[at]
        size, at = read_varint(data, at + 1)
        if field == 0x0A:
            key = data[at : at + size].decode()
        elif field == 0x12:
            value = decode(data, at, at + size)
        else:
            raise ValueError("a broken entry of a map")
        at += size
    return key, value
