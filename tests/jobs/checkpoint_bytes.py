"""Bytes of checkpoint directories by docs/formats, for tests that change or make them: other code than the engine's own."""

import collections
import struct

Facts = collections.namedtuple("Facts", "job run_id graph_hash sources")  # of a manifest; sources: (name, topic, identity, partitions)


def crc32c(data):
    """By the definition, so that the format's checksum is checked by other code than its own."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def resealed(manifest):
    """The manifest with its checksum made right again."""
    return bytes(manifest[:-8]) + struct.pack("<I", crc32c(manifest[:-8])) + bytes(manifest[-4:])


def text(value):
    return struct.pack("<H", len(value)) + value


class Reader:
    def __init__(self, data, at):
        self.data = data
        self.at = at

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, kind):
        return struct.unpack("<" + kind, self.take(struct.calcsize(kind)))[0]

    def text(self):
        return self.take(self.number("H"))


def facts(manifest):
    """What a log of ticks repeats of a manifest."""
    reader = Reader(manifest, 16)
    assert reader.take(4) == b"JOB "
    behind = reader.number("I") + reader.at
    job = reader.text()
    run_id = reader.take(16)
    reader.take(4 * 8 + 8)  # epoch, creation, number of the start, both bases
    graph_hash = reader.number("Q")
    reader.at = behind
    assert reader.take(4) == b"SRC "
    reader.number("I")
    sources = []
    for _ in range(reader.number("H")):
        name, _, identity, topic = (reader.text() for _ in range(4))
        partitions = reader.number("I")
        reader.take(100 * partitions)
        sources.append((name, topic, identity, partitions))
    return Facts(job, run_id, graph_hash, sources)


def ticks_log(of, ticks):
    """A log of ticks (source, partition, offset, clock, wall clock), each in a frame of its own."""
    head = bytes(of.run_id) + struct.pack("<Q", of.graph_hash) + text(of.job) + struct.pack("<H", len(of.sources))
    for name, topic, identity, partitions in of.sources:
        head += text(name) + text(topic) + text(identity) + struct.pack("<I", partitions)
    head += bytes(-(16 + len(head) + 4) % 8)
    head = b"TGTICKS\n" + struct.pack("<HHI", 1, 0, 16 + len(head) + 4) + head
    tag = crc32c(head)
    data = head + struct.pack("<I", tag)
    for number, tick in enumerate(ticks):
        begin = struct.pack("<4sIQIQ", b"TICK", tag, number, 1, 0)
        body = struct.pack("<IIqqq", *tick)
        data += begin + struct.pack("<I", crc32c(begin + body)) + body
    return data
