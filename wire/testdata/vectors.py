#!/usr/bin/env python3
"""Writes the vectors of mc, fram, golg and length, and checks those of gopr.

The frames are built by Python's struct and zlib from the layouts as
docs/protocol.md states them, so that the package is held to an implementation
that is not its own. Run it in this directory; README.md says what is in the files.
"""

import json
import struct
import zlib


def gopr(payload=b"", cmd=0x10, flag=0, version=1):
    return struct.pack(">IHHBB", 0x474F5052, version, len(payload), cmd, flag) + payload


def mc(payload=b"", cmd=0x10, version=1, length=None, crc=None):
    head = struct.pack(">HBHI", 0x4D43, version, cmd, len(payload) if length is None else length)
    if crc is None:
        crc = zlib.crc32(head + payload)
    return head + struct.pack(">I", crc) + payload


def fram(payload=b"", crc=None):
    body = struct.pack(">IH", 0x4652414D, len(payload)) + payload
    return body + struct.pack(">I", zlib.crc32(body) if crc is None else crc)


def golg(payload=b"", flag=0):
    return struct.pack("<IHB", 0x474F4C47, len(payload), flag) + payload


def length(payload=b""):
    return struct.pack(">I", len(payload)) + payload


def frame(payload=b"", version=0, cmd=0, flag=0):
    return {"version": version, "cmd": cmd, "flag": flag, "payload": payload.hex()}


def mcf(payload=b"", cmd=0x10, version=1):
    return frame(payload, version=version, cmd=cmd)


def good(name, stream, frames, rest=0, rules=None):
    v = {"name": name, "stream": stream.hex()}
    if rules:
        v["rules"] = rules
    v["frames"] = frames
    if rest:
        v["rest"] = rest
    return v


def bad(name, stream, reason, offset, got, want, skip, known_after, frames=(), rules=None, dropping=None):
    v = {"name": name, "stream": stream.hex()}
    if rules:
        v["rules"] = rules
    v["frames"] = list(frames)
    v["reject"] = {"reason": reason, "offset": offset, "got": got, "want": want, "skip": skip, "known_after": known_after}
    if dropping is not None:
        v["dropping"] = dropping
    return v


def write(name, kind, vectors, heartbeat=None):
    doc = {"format": name}
    if heartbeat:
        doc["heartbeat"] = [{"ping": ping.hex(), "pong": pong.hex()} for ping, pong in heartbeat]
    doc["vectors"] = vectors
    with open(f"{name}_{kind}.json", "w") as f:
        json.dump(doc, f, indent=2)
        f.write("\n")


every = bytes(range(256))

write("mc", "good", [
    good("nothing yet", b"", []),
    good("a ping", mc(cmd=1), [mcf(cmd=1)]),
    good("a payload", mc(b"hello"), [mcf(b"hello")]),
    good("every byte", mc(every, cmd=0xFFFF), [mcf(every, cmd=0xFFFF)]),
    good("a payload that looks like a frame", mc(mc(b"x")), [mcf(mc(b"x"))]),
    good("two frames and a half", mc(b"a") + mc(b"b", cmd=2) + mc(b"cdef")[:14], [mcf(b"a"), mcf(b"b", cmd=2)], rest=14),
    good("twelve bytes are no header", mc()[:12], [], rest=12),
    good("a header without its payload", mc(b"hello")[:13], [], rest=13),
    good("a second version", mc(b"v2", version=2), [mcf(b"v2", version=2)], rules={"versions": [1, 2]}),
    good("commands on an allow-list of two bytes", mc(cmd=0x1234), [mcf(cmd=0x1234)], rules={"commands": ["0x01", "0x1000-0x1FFF"]}),
    good("the longest payload allowed", mc(b"12345"), [mcf(b"12345")], rules={"max_payload": 5}),
], heartbeat=[(mc(cmd=1), mc(cmd=1)), (mc(b"12", cmd=1), mc(b"12", cmd=1))])

crc = zlib.crc32(mc(b"hello")[:9] + b"hello")
flipped = bytearray(mc(b"hello"))
flipped[-1] ^= 1
other_cmd = bytearray(mc(b"hello"))
other_cmd[4] ^= 0x20
other_sum = zlib.crc32(bytes(other_cmd[:9]) + b"hello")
write("mc", "bad", [
    bad("magic: the first byte", b"\x4e", "magic", 0, 0x4E, 0x4D, 0, 1, dropping={"frames": []}),
    bad("magic: the second byte", b"MM" + mc(b"x")[1:], "magic", 1, 0x4D, 0x43, 0, 2, dropping={"frames": [mcf(b"x")]}),
    bad("version 2", mc(b"x", version=2) + mc(b"y"), "version", 2, 2, 1, 14, 9, dropping={"frames": [mcf(b"y")]}),
    bad("version before everything else", mc(b"hello", version=9, cmd=9, crc=0), "version", 2, 9, 1, 18, 9,
        rules={"commands": ["1"], "max_payload": 2}, dropping={"frames": []}),
    bad("a length over what is allowed", mc(b"123456"), "length", 5, 6, 5, 0, 9, rules={"max_payload": 5}),
    bad("a length over the longest frame of the format", mc(length=2**20), "length", 5, 2**20, 2**20 - 13, 0, 9),
    bad("the greatest length", mc(length=2**32 - 1), "length", 5, 2**32 - 1, 2**20 - 13, 0, 9),
    bad("a version with a length that no frame has", mc(version=2, length=2**32 - 1), "version", 2, 2, 1, 0, 9),
    bad("a command", mc(b"x", cmd=0x101) + mc(b"y", cmd=1), "command", 3, 0x101, 0, 14, 9, rules={"commands": ["1"]},
        dropping={"frames": [mcf(b"y", cmd=1)]}),
    bad("checksum: a bit of the payload", bytes(flipped) + mc(b"x"), "checksum", 9, crc, zlib.crc32(bytes(flipped[:9] + flipped[13:])), 18, 18,
        dropping={"frames": [mcf(b"x")]}),
    bad("checksum: a bit of the header", mc(b"first") + bytes(other_cmd), "checksum", 9, crc, other_sum, 18, 18,
        frames=[mcf(b"first")], dropping={"frames": []}),
    bad("checksum: zero", mc(b"hello", crc=0) + b"MC", "checksum", 9, 0, crc, 18, 18, dropping={"frames": [], "rest": 2}),
    bad("checksum: little-endian", mc(crc=int.from_bytes(struct.pack("<I", zlib.crc32(mc()[:9])), "big")), "checksum", 9,
        int.from_bytes(struct.pack("<I", zlib.crc32(mc()[:9])), "big"), zlib.crc32(mc()[:9]), 13, 13, dropping={"frames": []}),
])

write("fram", "good", [
    good("an empty frame", fram(), [frame()]),
    good("a payload", fram(b"hello"), [frame(b"hello")]),
    good("every byte", fram(every), [frame(every)]),
    good("frames back to back, and the beginning of one", fram(b"a") + fram(fram(b"b")) + b"FRA", [frame(b"a"), frame(fram(b"b"))], rest=3),
    good("all but the last byte of the checksum", fram(b"hello")[:-1], [], rest=14),
])
write("fram", "bad", [
    bad("magic: the fourth byte", b"FRAN", "magic", 3, 0x4E, 0x4D, 0, 4, dropping={"frames": []}),
    bad("magic: garbage between frames", fram(b"a") + b"FRFR" + fram(b"b"), "magic", 2, 0x46, 0x41, 0, 3, frames=[frame(b"a")],
        dropping={"frames": [frame(b"b")]}),
    bad("a length over what is allowed", fram(b"123456"), "length", 4, 6, 5, 0, 6, rules={"max_payload": 5}),
    bad("checksum: one too high", fram(b"hello", crc=zlib.crc32(fram(b"hello")[:-4]) + 1) + fram(b"x"), "checksum", 11,
        zlib.crc32(fram(b"hello")[:-4]) + 1, zlib.crc32(fram(b"hello")[:-4]), 15, 15, dropping={"frames": [frame(b"x")]}),
    bad("checksum: of the payload alone", fram(b"hello", crc=zlib.crc32(b"hello")), "checksum", 11, zlib.crc32(b"hello"),
        zlib.crc32(fram(b"hello")[:-4]), 15, 15, dropping={"frames": []}),
])

write("golg", "good", [
    good("an empty frame", golg(), [frame()]),
    good("flags", golg(b"hello", flag=0xA5), [frame(b"hello", flag=0xA5)]),
    good("a length of two bytes", golg(every + every), [frame(every + every)]),
    good("six bytes are no header", golg(b"a") + golg()[:6], [frame(b"a")], rest=6),
])
write("golg", "bad", [
    bad("magic: big-endian", struct.pack(">IHB", 0x474F4C47, 0, 0), "magic", 1, 0x4F, 0x4C, 0, 2, dropping={"frames": [], "rest": 0}),
    bad("a length over what is allowed", golg(every + b"x"), "length", 4, 257, 256, 0, 6, rules={"max_payload": 256}),
])

write("length", "good", [
    good("an empty frame", length(), [frame()]),
    good("a payload", length(b"hello"), [frame(b"hello")]),
    good("frames back to back", length(b"a") + length() + length(every) + length(b"bc")[:5], [frame(b"a"), frame(), frame(every)], rest=5),
])
write("length", "bad", [
    bad("a length over what is allowed", length(b"123456"), "length", 0, 6, 5, 0, 4, rules={"max_payload": 5}),
    bad("a length over the longest frame of the format", struct.pack(">I", 2**20 - 3), "length", 0, 2**20 - 3, 2**20 - 4, 0, 4),
    bad("text", b"GET / HTTP/1.1\r\n", "length", 0, 0x47455420, 2**20 - 4, 0, 4),
])


def parse(text):
    out = b""
    for word in text.split():
        digits, _, times = word.partition("*")
        out += bytes.fromhex(digits) * int(times or 1)
    return out


for file in "gopr_good.json", "gopr_bad.json":
    for v in json.load(open(file))["vectors"]:
        built = b"".join(gopr(parse(f["payload"]), f["cmd"], f["flag"], f["version"]) for f in v["frames"])
        stream = parse(v["stream"])
        if file == "gopr_good.json":
            stream = stream[: len(stream) - v.get("rest", 0)]
        assert stream.startswith(built) and (file == "gopr_bad.json" or stream == built), v["name"]
