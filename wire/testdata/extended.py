#!/usr/bin/env python3
"""Writes extended_good.json and extended_bad.json: the frames of extended connections.

The frames are built by Python's struct and zlib from docs/protocol.md, sections 4 to 8,
so that the package is held to an implementation that is not its own. Run it in this
directory; README.md says what is in the files.
"""

import json
import re
import struct
import zlib

REQ, RSP, QOS1, QOS2, DUP, ID, CRC = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40


def gopr(payload=b"", cmd=0x10, flag=0):
    return struct.pack(">IHHBB", 0x474F5052, 1, len(payload), cmd, flag) + payload


def app(payload=b"", flag=0, id=None, crc=None, cmd=0x10):
    """An application frame. The flag's bits are what the caller says; crc is the wrong one to carry."""
    body = (b"" if id is None else struct.pack(">I", id)) + payload
    if not flag & CRC:
        return gopr(body, cmd, flag)
    frame = struct.pack(">IHHBB", 0x474F5052, 1, len(body) + 4, cmd, flag) + body
    return frame + struct.pack(">I", zlib.crc32(frame) if crc is None else crc)


def hello(client=b"d", token=b"", credential=b"", version=1, wanted=0, expiry=0, more=b""):
    return gopr(struct.pack(">BBIB", version, wanted, expiry, len(client)) + client + struct.pack(">B", len(token)) + token
                + struct.pack(">H", len(credential)) + credential + more, 0x03)


def welcome(version=1, status=0, granted=0, heartbeat=0, idle=0, expiry=0, window=0, last=0, token=b"", more=b""):
    return gopr(struct.pack(">BBBHHIHIB", version, status, granted, heartbeat, idle, expiry, window, last, len(token)) + token + more, 0x04)


def error(code, text=b"", id=None):
    return gopr((b"" if id is None else struct.pack(">I", id)) + struct.pack(">H", code) + text, 0x0A, 0 if id is None else ID)


def text(b):
    return re.sub("(?:a5){64,}", lambda run: f" a5*{len(run[0]) // 2} ", b.hex()).strip()


def ext(payload=b"", qos=0, flag=0, dup=False, crc=False, id=0):
    return {"ext": {"qos": qos, "flag": flag, "dup": dup, "crc": crc, "id": id, "payload": text(payload)}}


def good(name, frame, says):
    return {"name": name, "frame": text(frame)} | says


def bad(name, frame, reason, offset, got=0, want=0):
    return {"name": name, "frame": text(frame), "reject": {"reason": reason, "offset": offset, "got": got, "want": want, "skip": len(frame)}}


def write(kind, vectors):
    with open(f"extended_{kind}.json", "w") as f:
        json.dump({"format": "gopr", "vectors": vectors}, f, indent=2)
        f.write("\n")


token = bytes(range(16))
every = bytes(range(256))

write("good", [
    good("QoS 0, nothing else", app(b"hello"), ext(b"hello")),
    good("QoS 0, empty", app(), ext()),
    good("a request", app(b"?", REQ), ext(b"?", flag=REQ)),
    good("an answer", app(b"!", RSP), ext(b"!", flag=RSP)),
    good("a request with an id", app(b"?", REQ | ID, 7), ext(b"?", flag=REQ, id=7)),
    good("its answer", app(b"!", RSP | ID, 7), ext(b"!", flag=RSP, id=7)),
    good("QoS 0 with an id", app(b"x", ID, 1), ext(b"x", id=1)),
    good("QoS 1", app(b"hello", QOS1 | ID, 1), ext(b"hello", qos=1, id=1)),
    good("QoS 1, empty", app(b"", QOS1 | ID, 0xFFFFFFFF), ext(qos=1, id=0xFFFFFFFF)),
    good("QoS 1, sent before", app(b"hello", QOS1 | ID | DUP, 1), ext(b"hello", qos=1, dup=True, id=1)),
    good("QoS 2", app(every, QOS2 | ID, 0x01020304, cmd=0xFF), ext(every, qos=2, id=0x01020304)),
    good("QoS 2, a request, sent before", app(b"?", QOS2 | ID | REQ | DUP, 2), ext(b"?", qos=2, flag=REQ, dup=True, id=2)),
    good("a CRC, and nothing else", app(b"", CRC), ext(crc=True)),
    good("a CRC over a payload", app(b"hello", CRC), ext(b"hello", crc=True)),
    good("everything at once", app(b"hello", CRC | QOS2 | ID | REQ | DUP, 3), ext(b"hello", qos=2, flag=REQ, dup=True, crc=True, id=3)),
    good("the longest payload beside id and CRC", app(b"\xa5" * 65527, CRC | QOS1 | ID, 3), ext(b"\xa5" * 65527, qos=1, crc=True, id=3)),

    good("HELLO", hello(b"device-7", token, b"secret", wanted=0x0F, expiry=86400),
         {"hello": {"version": 1, "capabilities": 15, "expiry_s": 86400, "client_id": b"device-7".hex(), "token": token.hex(), "credential": b"secret".hex()}}),
    good("HELLO, the least", hello(), {"hello": {"version": 1, "capabilities": 0, "expiry_s": 0, "client_id": "64", "token": "", "credential": ""}}),
    good("HELLO, a client id of 255 bytes of garbage", hello(every[1:], expiry=0xFFFFFFFF),
         {"hello": {"version": 1, "capabilities": 0, "expiry_s": 0xFFFFFFFF, "client_id": every[1:].hex(), "token": "", "credential": ""}}),
    good("HELLO of a later version, with more behind", hello(version=2, more=b"more"),
         {"hello": {"version": 2, "capabilities": 0, "expiry_s": 0, "client_id": "64", "token": "", "credential": ""}}),
    good("WELCOME, a new session", welcome(granted=7, heartbeat=30, idle=45, expiry=3600, window=64, token=token),
         {"welcome": {"version": 1, "resumed": False, "capabilities": 7, "heartbeat_s": 30, "idle_s": 45, "expiry_s": 3600, "window": 64, "last_id": 0, "token": token.hex()}}),
    good("WELCOME back", welcome(status=1, granted=1, window=1, last=0xFFFFFFFE),
         {"welcome": {"version": 1, "resumed": True, "capabilities": 1, "heartbeat_s": 0, "idle_s": 0, "expiry_s": 0, "window": 1, "last_id": 0xFFFFFFFE, "token": ""}}),
    good("PUBACK", gopr(struct.pack(">I", 1), 0x05), {"ack": {"id": 1}}),
    good("PUBREC", gopr(struct.pack(">I", 0x01020304), 0x06), {"ack": {"id": 0x01020304}}),
    good("PUBREL", gopr(struct.pack(">I", 2), 0x07), {"ack": {"id": 2}}),
    good("PUBCOMP", gopr(struct.pack(">I", 0xFFFFFFFF), 0x08), {"ack": {"id": 0xFFFFFFFF}}),
    good("GOAWAY", gopr(struct.pack(">HI", 1, 90000), 0x09), {"goaway": {"reason": 1, "after_ms": 90000}}),
    good("ERROR about the connection", error(2, b"no credential"), {"error": {"code": 2, "id": 0, "text": "no credential"}}),
    good("ERROR about a message", error(3, "voll bis \u00fcber den Rand".encode(), 9), {"error": {"code": 3, "id": 9, "text": "voll bis \u00fcber den Rand"}}),
    good("ERROR without a word", error(0xFFFF), {"error": {"code": 0xFFFF, "id": 0, "text": ""}}),
    good("BYE", gopr(b"", 0x0B), {"bye": {}}),
])

crc = zlib.crc32(app(b"hello", CRC)[:-4])
write("bad", [
    bad("the bit 0x80", app(b"", 0x80), "malformed", 9),
    bad("QoS 3", app(b"", QOS1 | QOS2 | ID, 1), "malformed", 9),
    bad("QoS 1 without an id", app(b"hello", QOS1), "malformed", 9),
    bad("QoS 2 without an id", app(b"hello", QOS2), "malformed", 9),
    bad("DUP at QoS 0", app(b"", DUP), "malformed", 9),
    bad("DUP at QoS 0, with an id", app(b"", DUP | ID, 1), "malformed", 9),
    bad("an answer at QoS 1", app(b"", RSP | QOS1 | ID, 1), "malformed", 9),
    bad("an answer at QoS 2", app(b"", RSP | QOS2 | ID, 1), "malformed", 9),
    bad("an answer that asks", app(b"", REQ | RSP), "malformed", 9),
    bad("the id 0", app(b"hello", ID, 0), "malformed", 10),
    bad("the id 0 at QoS 1", app(b"hello", QOS1 | ID, 0), "malformed", 10),
    bad("too short for an id", app(b"\0\0\1", ID), "malformed", 6),
    bad("too short for an id at QoS 2", app(b"", QOS2 | ID), "malformed", 6),
    bad("too short for a CRC", gopr(b"\0\0\0", flag=CRC), "malformed", 6),
    bad("too short for an id beside the CRC", app(b"\0\0\1", ID | CRC), "malformed", 6),
    bad("a CRC that is one too high", app(b"hello", CRC, crc=crc + 1), "checksum", 15, crc + 1, crc),
    bad("a CRC of the payload alone", app(b"hello", CRC, crc=zlib.crc32(b"hello")), "checksum", 15, zlib.crc32(b"hello"), crc),
    bad("a CRC of the wrong end", app(b"hello", CRC, crc=int.from_bytes(struct.pack("<I", crc), "big")), "checksum", 15,
        int.from_bytes(struct.pack("<I", crc), "big"), crc),
    bad("a wrong CRC is looked at before wrong bits", app(b"", CRC | 0x80, crc=0), "checksum", 10, 0, zlib.crc32(app(b"", CRC | 0x80)[:-4])),
    bad("wrong bits under a CRC that is right", app(b"", CRC | 0x80), "malformed", 9),

    bad("the command 0x00", gopr(b"", 0x00), "malformed", 8),
    bad("the command 0x0C", gopr(b"", 0x0C), "malformed", 8),
    bad("the command 0x0F", gopr(b"", 0x0F), "malformed", 8),
    bad("a PING that asks nothing", gopr(b"", 0x01), "malformed", 9),
    bad("a PING with a CRC", app(b"", REQ | CRC, cmd=0x01), "malformed", 9),
    bad("a PONG that asks", gopr(b"", 0x02, REQ), "malformed", 9),
    bad("HELLO that asks", gopr(hello()[10:], 0x03, REQ), "malformed", 9),
    bad("HELLO, empty", gopr(b"", 0x03), "malformed", 10),
    bad("HELLO of version 0", hello(version=0), "malformed", 10),
    bad("HELLO without a client id", hello(b""), "malformed", 10),
    bad("HELLO with a client id longer than the frame", gopr(struct.pack(">BBIB", 1, 0, 0, 9) + b"device-7", 0x03), "malformed", 10),
    bad("HELLO without a credential's length", gopr(hello()[10:-2], 0x03), "malformed", 10),
    bad("HELLO with a credential cut off", gopr(hello(credential=b"secret")[10:-1], 0x03), "malformed", 10),
    bad("HELLO with more behind", hello(more=b"\0"), "malformed", 10),
    bad("WELCOME, empty", gopr(b"", 0x04), "malformed", 10),
    bad("WELCOME of version 0", welcome(version=0), "malformed", 10),
    bad("WELCOME with the status 2", welcome(status=2), "malformed", 10),
    bad("WELCOME with a token cut off", gopr(welcome(token=token)[10:-1], 0x04), "malformed", 10),
    bad("WELCOME with more behind", welcome(more=b"\0"), "malformed", 10),
    bad("PUBACK of 0", gopr(b"\0\0\0\0", 0x05), "malformed", 10),
    bad("PUBREC of three bytes", gopr(b"\0\0\1", 0x06), "malformed", 10),
    bad("PUBREL of five bytes", gopr(b"\0\0\0\1\0", 0x07), "malformed", 10),
    bad("PUBCOMP with the flag of an id", gopr(b"\0\0\0\1", 0x08, ID), "malformed", 9),
    bad("GOAWAY of five bytes", gopr(b"\0\0\0\0\0", 0x09), "malformed", 10),
    bad("ERROR, empty", gopr(b"", 0x0A), "malformed", 10),
    bad("ERROR about the message 0", error(3, b"", 0), "malformed", 10),
    bad("ERROR with an id and no code", gopr(b"\0\0\0\1\0", 0x0A, ID), "malformed", 10),
    bad("ERROR that answers", gopr(b"\0\1", 0x0A, RSP), "malformed", 9),
    bad("BYE with a payload", gopr(b"\0", 0x0B), "malformed", 10),
])
