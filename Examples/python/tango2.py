"""A client of tango/2 for Python: calls side by side, streams, cancel. Docs/wire.md has the bytes.

    client = Client("localhost", 12345)
    client.call("math.sqrt", 2).wait()                      # [1.4142135623730951]
    for values in client.call("rows", 10).items(): ...      # leaving the loop cancels
    client.call("slow", timeout=2).cancel()
"""
import socket
import struct

DEADLINE, STREAM, MOST = 1, 4, 32768  # flags; what a frame of items costs at most
REASONS = ("raised", "not called", "cancelled", "deadline")


def pack(value):
    """A value in MessagePack."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, (int, float)):
        return struct.pack(*((">Bq", 0xD3) if isinstance(value, int) else (">Bd", 0xCB)), value)
    if isinstance(value, (str, bytes)):
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        return struct.pack(">BI", 0xDB, len(data)) + data
    if isinstance(value, dict):
        pairs = (pack(key) + pack(item) for key, item in value.items())
        return struct.pack(">BI", 0xDF, len(value)) + b"".join(pairs)
    return struct.pack(">BI", 0xDD, len(value)) + b"".join(map(pack, value))


NUMBERS = dict(zip(range(0xCA, 0xD4), (">f", ">d", ">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q")))
CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True, **{n & 255: n for n in range(-32, 128)}}
LENGTHS = {0xC4: "s1", 0xC5: "s2", 0xC6: "s4", 0xD9: "s1", 0xDA: "s2", 0xDB: "s4",
           0xDC: "a2", 0xDD: "a4", 0xDE: "m2", 0xDF: "m4"}  # kind, bytes of the length


def unpack(data, at=0):
    """The value in MessagePack at a place, and the place behind it."""
    tag, at = data[at], at + 1
    if tag in CONSTANTS:
        return CONSTANTS[tag], at
    if tag in NUMBERS:
        return struct.unpack_from(NUMBERS[tag], data, at)[0], at + struct.calcsize(NUMBERS[tag])
    if tag in LENGTHS:
        kind, width = LENGTHS[tag][0], int(LENGTHS[tag][1])
        size, at = int.from_bytes(data[at:at + width], "big"), at + width
    elif tag < 0xC0:
        kind = "s" if tag >= 0xA0 else "a" if tag >= 0x90 else "m"
        size = tag & (31 if kind == "s" else 15)
    else:
        raise ValueError("a reference, or no MessagePack")
    if kind == "s":
        return data[at:at + size].decode("utf-8", "surrogateescape"), at + size
    values = []
    for _ in range(size if kind == "a" else 2 * size):
        value, at = unpack(data, at)
        values += [value]
    return (values if kind == "a" else dict(zip(values[::2], values[1::2]))), at


class TangoError(Exception):
    """A call has failed: why, and the error value."""


class Call:
    """A call that was sent: wait() for its results, or go through items() of its stream."""

    def __init__(self, client, id):
        self.client, self.id, self.frames, self.is_cancelled = client, id, [], False

    def next(self):
        """The next frame for this call; an error is raised."""
        while not self.frames:
            if self.is_cancelled:
                raise TangoError("cancelled", None)
            self.client.receive()
        kind, flags, payload = self.frames.pop(0)
        if kind == b"E":
            raise TangoError(REASONS[flags & 3], unpack(payload)[0][0])
        return kind, flags, payload

    def wait(self):
        return unpack(self.next()[2])[0]

    def items(self):
        """The values of each item. Leaving the loop cancels the call."""
        try:
            self.next()  # the results in front of the stream
            while (frame := self.next())[0] == b"I":
                payload, at = frame[2], 0
                while at < len(payload):
                    while payload[at] & 0x80:  # the item's length, which unpack does not need
                        at += 1
                    values, at = unpack(payload, at + 1)
                    yield values
                if self.id in self.client.calls:
                    self.client.send(b"W", 0, self.id, struct.pack(">I", min(len(payload), MOST)))
        finally:
            self.cancel()

    def cancel(self):
        if self.id in self.client.calls and not self.is_cancelled:
            self.client.send(b"X", 0, self.id)
        self.is_cancelled, self.frames = True, []


class Client:
    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port))
        self.file = self.socket.makefile("rb")
        self.socket.sendall(b'19\n{"tango.upgrade_2"}')
        answer = self.file.read(int(self.file.readline()))
        if b"".join(answer.split()) not in (b"{true,2}", b"{true,2,}"):
            raise ConnectionError("the server does not speak tango/2")
        self.calls, self.next_id = {}, 1
        self.send(b"S", payload=struct.pack(">BI", 1, 0))  # this end takes no calls
        self.receive()  # the server's settings

    def send(self, kind, flags=0, id=0, payload=b""):
        self.socket.sendall(kind + struct.pack(">BII", flags, len(payload), id) + payload)

    def receive(self):
        header = self.file.read(10)
        if len(header) < 10:
            raise ConnectionError("the connection was closed")
        kind, flags, size, id = struct.unpack(">cBII", header)
        payload = self.file.read(size)
        if kind == b"S":
            self.limit = dict(struct.iter_unpack(">BI", payload)).get(1, 256)
        elif kind == b"P":
            self.send(b"Q", payload=payload)
        elif kind == b"G":
            self.limit = 0
        elif kind in b"REID":
            call = self.calls[id]
            if not call.is_cancelled:
                call.frames.append((kind, flags, payload))
            if kind in b"ED" or kind == b"R" and not flags & STREAM:
                del self.calls[id]  # the last frame

    def call(self, path, *arguments, timeout=None):
        while len(self.calls) >= self.limit > 0:
            self.receive()
        if not self.limit:
            raise TangoError("not called", "the server takes no calls")
        options = b"" if timeout is None else struct.pack(">I", max(0, int(timeout * 1000)))
        call = self.calls[self.next_id] = Call(self, self.next_id)
        self.next_id += 2
        self.send(b"C", DEADLINE if options else 0, call.id, options + pack([path, *arguments]))
        return call
