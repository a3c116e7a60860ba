#!/usr/bin/env python3
"""Verifies an export of RiverGen's audit log, with nothing but Python's standard library.

    verify.py [--filtered] [FILE]

Written from docs/audit.md and not from the server's code, so that the two check each other. Reads the standard input
without a FILE or with "-". Its status is 0 where everything holds, 1 where something does not, with the line.
"""

import argparse
import hashlib
import json
import re
import struct
import sys
from datetime import datetime, timedelta, timezone

# The fields in the order in which they are hashed; `True` where null is allowed.
INTEGER, TEXT, TIME, DIGEST = "integer", "text", "time", "digest"
RECORD = {
    "previous_hash": (DIGEST, False),
    "chain": (INTEGER, False),
    "sequence": (INTEGER, False),
    "organization_id": (INTEGER, True),
    "occurred_at": (TIME, False),
    "actor_kind": (TEXT, False),
    "actor_user_id": (INTEGER, True),
    "ip": (TEXT, True),
    "user_agent": (TEXT, True),
    "action": (TEXT, False),
    "target_kind": (TEXT, True),
    "target_id": (TEXT, True),
    "outcome": (TEXT, False),
    "details": (TEXT, False),
}
HEAD = {"chain": (INTEGER, False), "sequence": (INTEGER, False)}
HASH = {"hash": (DIGEST, False)}

GENESIS = bytes(32)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
TIME_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z", re.ASCII)
DIGEST_FORM = re.compile(r"[0-9a-f]{64}\Z")


class Fault(Exception):
    """What does not hold."""


def once(pairs):
    """An object none of whose keys stands twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Fault("a field stands twice")
    return found


def encoded(name, value, kind, nullable):
    """A field as it is hashed: whether it is there, its length, its bytes."""
    if value is None:
        if not nullable:
            raise Fault(f"{name} is null")
        return b"\0"
    if kind == INTEGER:
        if type(value) is not int or not -(2**63) <= value < 2**63:
            raise Fault(f"{name} is not a whole number")
        value = struct.pack(">q", value)
    elif type(value) is not str:
        raise Fault(f"{name} is not a text")
    elif kind == TIME:
        if not TIME_FORM.match(value):
            raise Fault(f"{name} is not a time in UTC with microseconds")
        try:
            at = datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        except ValueError as error:
            raise Fault(f"{name}: {error}") from error
        value = struct.pack(">q", (at - EPOCH) // timedelta(microseconds=1))
    elif kind == DIGEST:
        if not DIGEST_FORM.match(value):
            raise Fault(f"{name} is not a SHA-256 in hexadecimal")
        value = bytes.fromhex(value)
    else:
        try:
            value = value.encode()
        except UnicodeEncodeError as error:
            raise Fault(f"{name} is not a text") from error
    return b"\1" + struct.pack(">Q", len(value)) + value


def hash_of(record):
    sha = hashlib.sha256(b"rivergen audit record 1\0")
    for name, (kind, nullable) in RECORD.items():
        sha.update(encoded(name, record[name], kind, nullable))
    return sha.digest()


class Export:
    def __init__(self, filtered):
        self.filtered = filtered
        self.records = 0
        self.ends = {}  # chain: (sequence, hash) of its last record
        self.ended = set()

    def take(self, line):
        try:
            entry = json.loads(line.decode(), object_pairs_hook=once)
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise Fault(f"it is not a whole line: {error}") from error
        if not isinstance(entry, dict) or entry.get("type") not in ("record", "head"):
            raise Fault("it is neither a record nor a head")
        fields = {**(RECORD if entry["type"] == "record" else HEAD), **HASH}
        if entry.keys() != {"type", *fields}:
            raise Fault("its fields are not those of a " + entry["type"])
        for name, (kind, nullable) in fields.items():
            encoded(name, entry[name], kind, nullable)
        chain = entry["chain"]
        if chain in self.ended:
            raise Fault(f"chain {chain} goes on after its head")
        if entry["type"] == "record":
            self.follow(chain, entry)
        else:
            self.end(chain, entry)

    def follow(self, chain, record):
        last, previous = self.ends.get(chain, (0, GENESIS))
        sequence = record["sequence"]
        where = f"chain {chain}, record {sequence}: "
        if sequence <= last:
            raise Fault(where + "it stands here a second time, or out of order")
        if sequence > last + 1 and not self.filtered:
            raise Fault(f"chain {chain}, record {last + 1}: it is missing")
        if hash_of(record).hex() != record["hash"]:
            raise Fault(where + "it was changed: its hash does not fit its fields")
        if sequence == last + 1 and bytes.fromhex(record["previous_hash"]) != previous:
            raise Fault(where + "it does not follow the one before it")
        self.ends[chain] = (sequence, bytes.fromhex(record["hash"]))
        self.records += 1

    def end(self, chain, head):
        last, previous = self.ends.setdefault(chain, (0, GENESIS))
        if head["sequence"] < last:
            raise Fault(f"chain {chain}: there are records beyond its head")
        if head["sequence"] > last and not self.filtered:
            raise Fault(f"chain {chain}, record {last + 1}: it is missing")
        if head["sequence"] == last and bytes.fromhex(head["hash"]) != previous:
            raise Fault(f"chain {chain}: its head does not fit its last record")
        self.ended.add(chain)

    def finish(self):
        if self.filtered:
            return
        for chain in self.ends:
            if chain not in self.ended:
                raise Fault(f"chain {chain}: its head is missing, so its end was cut off")
        if not self.ends:
            raise Fault("there is no record and no head")


def main():
    arguments = argparse.ArgumentParser(description="Verifies an export of RiverGen's audit log.")
    arguments.add_argument("--filtered", action="store_true", help="filters chose the records, so some are left out")
    arguments.add_argument("file", nargs="?", default="-")
    arguments = arguments.parse_args()
    source = sys.stdin.buffer if arguments.file == "-" else open(arguments.file, "rb")
    export, number = Export(arguments.filtered), 0
    try:
        for number, line in enumerate(source, start=1):
            export.take(line.removesuffix(b"\n"))
        number += 1
        export.finish()
    except Fault as fault:
        print(f"line {number}: {fault}")
        return 1
    print(f"{export.records} records in {len(export.ends)} chains hold.")
    for chain, (sequence, digest) in sorted(export.ends.items()):
        print(f"  {chain or 'system'}: record {sequence}, {digest.hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
