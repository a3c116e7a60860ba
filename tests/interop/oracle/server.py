"""A stand-in for Oracle Database, for the tests of its connector.

It speaks Oracle Net and TTC as far as signing in, queries and cancellations take them; the layouts are those of Oracle's own
open clients, and python-oracledb, which is one of them, connects to it (client.py). Statements are parsed as Oracle's SQL by
sqlglot and answered by DuckDB. What Oracle takes for an error and DuckDB does not is looked for beforehand: conditions where
values are wanted and values where conditions are, empty texts, large objects that are compared or counted, the word AS before
the alias of a table, a query outside of a read-only transaction.

    server.py --port 15210 --log FILE [--certificate FILE] [--tls]

With --tls the listener asks for TLS anew once a client has said what it wants, as it does where another process takes over.
Every connection, sign-in, statement and cancellation is a line in the log.
"""

import argparse
import datetime
import decimal
import hashlib
import os
import re
import socket
import ssl
import struct
import threading

import duckdb
import sqlglot
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509.oid import NameOID
from sqlglot import exp

USER, PASSWORD, SERVICE, SID = "RIVERGEN", "s3cret; 'x", "SHOP", "SHOP1"
FIELDS = 13
VERSION_NO = 19 << 24 | 3 << 16

# Owner, table, kind: name, declared type, NULL allowed. Names may be in small letters, as they are where they are quoted.
TABLES = {
    ("APP", "people", "TABLE"): [
        ("id", "NUMBER(9)", False), ("name", "VARCHAR2(60)", False), ("city", "VARCHAR2(20)", True),
        ("age", "NUMBER(18)", True), ("salary", "NUMBER(10,2)", True), ("rate", "BINARY_DOUBLE", True),
        ("active", "BOOLEAN", True), ("born", "DATE", True), ("seen", "TIMESTAMP(6)", True), ("boss", "NUMBER(9)", True),
    ],
    ("APP", "orders", "TABLE"): [
        ("id", "NUMBER(18)", False), ("person", "NUMBER(9)", True), ("amount", "NUMBER(8,2)", True),
        ("price", "BINARY_FLOAT", True), ("placed", "TIMESTAMP(6) WITH TIME ZONE", True), ("note", "CLOB", True),
    ],
    ("APP", "TYPES", "TABLE"): [
        ("A", "NUMBER", False), ("B", "NUMBER(4)", True), ("C", "INTEGER", True), ("D", "NUMBER(38,10)", True),
        ("E", "CHAR(5)", True), ("F", "NVARCHAR2(20)", True), ("G", "RAW(10)", True), ("H", "BLOB", True),
        ("I", "DATE", True), ("J", "TIMESTAMP(9)", True), ("Odd name", "NUMBER(9)", True), ("K", "CLOB", True),
        ("L", "TIMESTAMP(3) WITH TIME ZONE", True), ("M", "LONG", True), ("N", "FLOAT", True), ("O", "SDO_GEOMETRY", True),
    ],
    ("APP", "BLANKS", "TABLE"): [("N", "NUMBER(9)", False), ("T", "VARCHAR2(20)", True), ("FOLDED", "VARCHAR2(20)", True)],
    ("APP", "BIG", "VIEW"): [("N", "NUMBER(18)", True), ("T", "VARCHAR2(100)", True)],
    ("APP", "SLOW", "VIEW"): [("S", "NUMBER(9)", True)],
    ("APP", "BROKEN", "VIEW"): [("S", "NUMBER(9)", True)],
    ("SALES", "TOTALS", "VIEW"): [("PERSON", "NUMBER(9)", True), ("TOTAL", "NUMBER(38,2)", True)],
    ("SYS", "SECRETS", "TABLE"): [("S", "NUMBER(9)", True)],
}
LARGE = {("orders", "note"): "CLOB", ("TYPES", "H"): "BLOB", ("TYPES", "K"): "CLOB"}

SETUP = """
SET TimeZone = 'UTC';
CREATE SCHEMA app; CREATE SCHEMA sales; CREATE SCHEMA sys;
CREATE TABLE app.people (id int, name varchar, city varchar, age bigint, salary decimal(10,2), rate double,
    active boolean, born timestamp, seen timestamp, boss int);
INSERT INTO app.people VALUES
    (1, 'Anna', 'Rome', 30, 1000.50, 0.1, true, '1990-05-01', '2024-03-10 12:30:00', NULL),
    (2, 'anna', 'Oslo', 41, 0.10, 0.2, false, '1985-12-31', '2024-02-29 23:59:59.999999', 1),
    (3, 'Bob', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1),
    (4, 'O''Brien; --', 'rome', 29, 99999999.99, 'Infinity', true, '1969-07-20', '1969-12-31 00:00:01', 2),
    (5, 'Jürgen', 'Rome', 41, -5.25, -0.3, false, '2001-01-01', '2024-03-10 12:30:00', 2),
    (6, '100%', NULL, 0, 1000.51, 1e300, NULL, '1990-05-01', '2023-12-25 08:00:00', 3),
    (7, 'nan', 'Oslo', 0, 0, 'NaN', true, '1990-05-01', '2023-12-25 08:00:00', 3);
CREATE TABLE app.orders (id bigint, person int, amount decimal(8,2), price real, placed timestamptz, note varchar);
INSERT INTO app.orders VALUES
    (1, 1, 5.00, 1.5, '2024-01-01 00:00:00', 'first'), (2, 1, 7.25, 2.5, NULL, NULL), (3, 2, 1.00, 0.1, now(), NULL),
    (4, NULL, 100.00, 3, '2024-06-01 12:00:00', 'nobody'), (5, 77, 2.50, NULL, NULL, 'unknown'), (6, 5, 0, 0, NULL, 'ü');
CREATE TABLE app.types (a decimal(38,12), b smallint, c decimal(38,0), d decimal(38,10), e varchar, f varchar, g blob,
    h blob, i timestamp, j timestamp_ns, "Odd name" int, k varchar, l timestamptz, m varchar, n double, o int);
INSERT INTO app.types VALUES
    (5.123456789012, -9999, 12345678901234567890123456789012345678, 1234567890123456789012345678.0123456789, 'ab   ', 'ü😀',
     '\\x00\\xFF'::blob, repeat('\\xAB', 70000)::blob, '2024-02-29 12:00:01', '2024-02-29 12:00:00.123456', 7,
     repeat('x', 100000), '2024-02-29 12:00:00+02:00', 'long', 0.1, NULL),
    (0, NULL, NULL, -0.0000000001, '     ', NULL, NULL, NULL, '0001-01-01', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (-3, 9999, -1, 100, NULL, 'f', NULL, NULL, '9999-12-31 23:59:59', '1969-12-31 23:59:59.999999', 7, 'k',
     '1969-12-31 23:59:59.5', NULL, -1e-100, NULL);
CREATE TABLE app.blanks (n int, t varchar, folded varchar);
INSERT INTO app.blanks VALUES (1, 'x', 'x'), (2, 'x ', 'X'), (3, 'X', 'x'), (5, ' ', ' '), (6, NULL, NULL), (7, 'x', 'x'),
    (8, 'a[b', 'a');
CREATE VIEW app.big AS SELECT range AS n, repeat('x', 100) AS t FROM range(1, 50001);
CREATE VIEW app.slow AS SELECT 1 AS s;
CREATE VIEW app.broken AS SELECT range AS s FROM range(1, 10);
CREATE VIEW sales.totals AS SELECT person, CAST(sum(amount) AS decimal(38,2)) AS total FROM app.orders GROUP BY person;
CREATE TABLE dual (dummy varchar); INSERT INTO dual VALUES ('X');
CREATE MACRO sys_extract_utc(t) AS t AT TIME ZONE 'UTC';
CREATE TABLE all_users (username varchar, oracle_maintained varchar);
INSERT INTO all_users VALUES ('APP', 'N'), ('SALES', 'N'), ('SYS', 'Y');
CREATE TABLE all_objects (owner varchar, object_name varchar, object_type varchar, secondary varchar);
CREATE TABLE all_tables (owner varchar, table_name varchar, num_rows bigint);
INSERT INTO all_tables VALUES ('APP', 'people', 7), ('APP', 'orders', NULL);
CREATE TABLE all_tab_columns (owner varchar, table_name varchar, column_name varchar, column_id int, data_type varchar,
    char_length int, char_used varchar, data_length int, data_precision int, data_scale int, nullable varchar,
    default_length int, data_default varchar, "collation" varchar);
CREATE TABLE all_constraints (owner varchar, constraint_name varchar, constraint_type varchar, r_owner varchar,
    r_constraint_name varchar);
INSERT INTO all_constraints VALUES ('APP', 'PEOPLE_PK', 'P', NULL, NULL), ('APP', 'BOSS_FK', 'R', 'APP', 'PEOPLE_PK');
CREATE TABLE all_cons_columns (owner varchar, constraint_name varchar, table_name varchar, column_name varchar, position int);
INSERT INTO all_cons_columns VALUES ('APP', 'PEOPLE_PK', 'people', 'id', 1), ('APP', 'BOSS_FK', 'people', 'boss', 1);
CREATE TABLE all_tab_comments (owner varchar, table_name varchar, comments varchar);
INSERT INTO all_tab_comments VALUES ('APP', 'people', 'All of them'), ('APP', 'orders', NULL);
CREATE TABLE all_col_comments (owner varchar, table_name varchar, column_name varchar, comments varchar);
INSERT INTO all_col_comments VALUES ('APP', 'people', 'age', 'In years'), ('APP', 'people', 'id', NULL);
"""


def database():
    shop = duckdb.connect()
    shop.execute(SETUP)
    for (owner, table, kind), columns in TABLES.items():
        shop.execute("INSERT INTO all_objects VALUES (?, ?, ?, 'N')", [owner, table, kind])
        for position, (name, declared, nullable) in enumerate(columns, 1):
            base, _, rest = declared.partition("(")
            arguments = [int(part) for part in rest.partition(")")[0].split(",") if part]
            precision = scale = None
            length = 0
            if base == "NUMBER" and arguments:
                precision, scale = arguments[0], (arguments + [0])[1]
            elif base == "INTEGER":
                declared, scale = "NUMBER", 0
            elif base == "FLOAT":
                precision = 126
            elif base == "TIMESTAMP":
                scale = arguments[0]
            elif arguments:
                length = arguments[0]
            told = declared if base == "TIMESTAMP" else declared.partition("(")[0]
            shop.execute(
                "INSERT INTO all_tab_columns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [owner, table, name, position, told, length, "C" if "VARCHAR2" in base else "B", length or 22, precision,
                 scale, "Y" if nullable else "N", 2 if name == "age" else None, "7 " if name == "age" else None,
                 "BINARY_CI" if name == "FOLDED" else "USING_NLS_COMP"])
    return shop


SHOP = database()


class Failure(Exception):
    def __init__(self, code, text):
        super().__init__(f"ORA-{code:05}: {text}")
        self.code = code


# Statements.


def is_condition(node):
    while isinstance(node, exp.Paren):
        node = node.this
    # A column of the type BOOLEAN, which Oracle 23 has, is one.
    return isinstance(node, (exp.Predicate, exp.Not, exp.And, exp.Or)) or node.name == "active"


def large_columns(select):
    """The columns of a SELECT that are large objects, by their places."""
    found = {}
    sources = {source.alias_or_name: source for source in
               [select.args["from_"].this if "from_" in select.args else select.args["from"].this,
                *(join.this for join in select.args.get("joins") or [])]}
    for place, item in enumerate(select.expressions):
        node = item.this if isinstance(item, exp.Alias) else item
        if not isinstance(node, exp.Column):
            continue
        source = sources.get(node.table) or next(iter(sources.values()))
        if isinstance(source, exp.Subquery) and isinstance(source.this, exp.Select):
            kind = large_columns(source.this).get(int(node.name[1:]))
        else:
            kind = LARGE.get((source.name, node.name))
        if kind:
            found[place] = kind
    return found


def check(tree, sql):
    """What Oracle takes for an error."""
    outside = re.sub(r"'(?:[^']|'')*'", "''", sql)
    if re.search(r'["\)] AS [tq]\d', outside):
        raise Failure(933, "SQL command not properly ended")
    if any(node.is_string and not node.name for node in tree.find_all(exp.Literal)):
        raise Failure(600, "a text that is empty")
    for node in tree.find_all(exp.DPipe, exp.Boolean):
        raise Failure(600, f"not sent to Oracle before version 23: {node}")
    for select in tree.find_all(exp.Select):
        for item in select.expressions:
            if is_condition(item.unalias()):
                raise Failure(923, "FROM keyword not found where expected")
    conditions = [node.this for node in tree.find_all(exp.Where, exp.Having)]
    conditions += [join.args["on"] for join in tree.find_all(exp.Join) if join.args.get("on")]
    conditions += [part for node in tree.find_all(exp.And, exp.Or) for part in (node.this, node.expression)]
    conditions += [node.this for node in tree.find_all(exp.Not)]
    for case in tree.find_all(exp.Case):
        if not case.this:
            conditions += [branch.this for branch in case.args["ifs"]]
    if not all(is_condition(condition) for condition in conditions):
        raise Failure(920, "invalid relational operator")
    for column in tree.find_all(exp.Column):
        if column.name not in ("note", "K", "H") or column.find_ancestor(exp.Select) is None:
            continue
        if not isinstance(column.parent, (exp.Alias, exp.Select, exp.Is)):
            raise Failure(932, "inconsistent datatypes: expected - got CLOB")
    for union in tree.find_all(exp.Union):
        if any(large_columns(member) for member in (union.left, union.right) if isinstance(member, exp.Select)):
            raise Failure(1790, "expression must have same datatype as corresponding expression")


TRUNCATED = {"YYYY": "year", "Q": "quarter", "MM": "month", "IW": "week", "DD": "day", "HH24": "hour", "MI": "minute"}
PARTS = {"Q": "quarter", "IW": "week", "DDD": "doy"}


def translate(sql):
    """Oracle's SQL as DuckDB's. What is written in a way of its own is replaced before it is parsed as standard SQL."""
    tree = sqlglot.parse_one(sql, read="oracle")
    check(tree, sql)
    large = large_columns(tree) if isinstance(tree, exp.Select) else {}
    # TRUNC of a moment, parts of it, and moments of whole seconds.
    argument = r"((?:[^(),]|\((?:[^()]|\([^()]*\))*\))+)"
    text = re.sub(rf"TRUNC\({argument}, '(\w+)'\)", lambda m: f"DATE_TRUNC('{TRUNCATED[m[2]]}', {m[1]})", sql)
    text = re.sub(rf"\(TO_NUMBER\(TO_CHAR\({argument}, 'D'\)\) - 1\)", r"DAYOFWEEK(\1)", text)
    text = re.sub(rf"TO_NUMBER\(TO_CHAR\({argument}, '(\w+)'\)\)", lambda m: f"EXTRACT({PARTS[m[2]]} FROM {m[1]})", text)
    text = re.sub(rf"TO_CHAR\({argument}\)", r"CAST(\1 AS VARCHAR)", text)
    text = re.sub(r"TO_DATE\(('[^']*'), 'YYYY-MM-DD HH24:MI:SS'\)", r"CAST(\1 AS TIMESTAMP)", text)
    text = re.sub(rf"DECODE\({argument}, {argument}, 0, 1\)", r"(CASE WHEN \1 IS NOT DISTINCT FROM \2 THEN 0 ELSE 1 END)", text)
    # What is cut off to nothing is NULL.
    text = re.sub(r"RTRIM\(([^()]+)\)", r"NULLIF(RTRIM(\1), '')", text)
    # The one CHAR that there is, as it is stored: blanks at the end do not count between it and a text in quotes.
    text = re.sub(r"(t\d\.\"E\") = ('[^']*')", r"RTRIM(\1) = RTRIM(\2)", text)
    text = re.sub(r"\bVARCHAR2\(\d+\)", "VARCHAR", text)
    text = re.sub(r"\bNUMBER\((\d+)\)", "DECIMAL(38, 0)", text)
    text = re.sub(r"\bNUMBER\(", "DECIMAL(", text)
    text = text.replace("BINARY_DOUBLE", "DOUBLE").replace("BINARY_FLOAT", "REAL")
    text = re.sub(r"TIMESTAMP\(\d\)", "TIMESTAMP", text)
    text = re.sub(r" FETCH FIRST (\d+) ROWS ONLY", r" LIMIT \1", text)
    text = re.sub(r" OFFSET (\d+) ROWS FETCH NEXT (\d+) ROWS ONLY", r" LIMIT \2 OFFSET \1", text)
    text = re.sub(r" OFFSET (\d+) ROWS", r" OFFSET \1", text)
    return text, large


# Values.


def number(value):
    value = decimal.Decimal(value)
    if value == 0:
        return b"\x80"
    sign, digits, exponent = value.as_tuple()
    digits = list(digits)
    if exponent % 2:
        digits.append(0)
        exponent -= 1
    if len(digits) % 2:
        digits.insert(0, 0)
    pairs = [digits[i] * 10 + digits[i + 1] for i in range(0, len(digits), 2)]
    power = exponent // 2 + len(pairs) - 1
    while pairs[0] == 0:
        pairs.pop(0)
        power -= 1
    while pairs[-1] == 0:
        pairs.pop()
    if sign:
        return bytes([62 - power, *(101 - pair for pair in pairs)]) + (b"\x66" if len(pairs) < 20 else b"")
    return bytes([193 + power, *(pair + 1 for pair in pairs)])


def ordered(raw):
    return bytes(byte ^ 255 for byte in raw) if raw[0] & 128 else bytes([raw[0] | 128]) + raw[1:]


def moment(value):
    return bytes([value.year // 100 + 100, value.year % 100 + 100, value.month, value.day, value.hour + 1,
                  value.minute + 1, value.second + 1])


def finely(value):
    nanos = value.microsecond * 1000
    return moment(value) + (struct.pack(">I", nanos) if nanos else b"")


def most_finely(value):
    # Nanoseconds that the connector is to cut off.
    return moment(value) + struct.pack(">I", value.microsecond * 1000 + 999)


def zoned(value):
    value = value.astimezone(datetime.timezone.utc)
    return moment(value) + struct.pack(">I", value.microsecond * 1000) + bytes([22, 60])


def text(value):
    return value.encode()


# DuckDB's types: number, form, size, how it is written.
TYPES = {
    "VARCHAR": (1, 1, 16000, text), "DOUBLE": (101, 0, 8, lambda v: ordered(struct.pack(">d", v))),
    "FLOAT": (100, 0, 4, lambda v: ordered(struct.pack(">f", v))), "BLOB": (23, 0, 2000, bytes),
    "TIMESTAMP": (180, 0, 11, finely), "TIMESTAMP_S": (180, 0, 11, finely), "TIMESTAMP_NS": (180, 0, 11, most_finely),
    "TIMESTAMP WITH TIME ZONE": (181, 0, 13, zoned),
}
NUMBER = (2, 0, 22, number)
LARGE_TYPES = {"CLOB": (112, 1, 4000, text), "BLOB": (113, 0, 4000, bytes)}
AS_LONG = {112: (8, 1, 0, text), 113: (24, 0, 0, bytes)}


class Statement:
    def __init__(self, sql):
        translated, large = translate(sql)
        cursor = SHOP.cursor()
        cursor.execute("SET TimeZone = 'UTC'")
        try:
            cursor.execute(translated)
            self.rows = cursor.fetchall()
        except duckdb.CatalogException as error:
            raise Failure(942, f"table or view does not exist: {error}")
        except duckdb.BinderException as error:
            raise Failure(904, f"invalid identifier: {error}")
        self.names = [column[0] for column in cursor.description]
        self.types = []
        for place, (_, described, *_) in enumerate(cursor.description):
            if place in large:
                self.types.append(LARGE_TYPES[large[place]])
            else:
                self.types.append(TYPES.get(str(described), NUMBER))
        # Of the one column of national texts and the one LONG that there are.
        for place, item in enumerate(sqlglot.parse_one(sql, read="oracle").expressions):
            column = item.unalias()
            if isinstance(column, exp.Column) and column.name in ("F", "data_default", "DATA_DEFAULT"):
                self.types[place] = (1, 2, 80, lambda v: v.encode("utf-16-be")) if column.name == "F" else (8, 1, 0, text)
        self.at = 0
        self.last = None
        self.broken = '"BROKEN"' in sql
        self.slow = '"SLOW"' in sql

    def has_large(self):
        return any(kind[0] in AS_LONG for kind in self.types)

    def define(self):
        self.types = [AS_LONG.get(kind[0], kind) for kind in self.types]


# The protocol.


def ub(value):
    if value == 0:
        return b"\0"
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(raw)]) + raw


def short(value):
    if len(value) <= 252:
        return bytes([len(value)]) + value
    chunks = [value[at:at + 20000] for at in range(0, len(value), 20000)]
    return b"\xfe" + b"".join(ub(len(chunk)) + chunk for chunk in chunks) + b"\0"


def announced(value):
    return ub(len(value)) + (short(value) if value else b"")


def cbc(key, data, decrypts=False):
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16)))
    worker = cipher.decryptor() if decrypts else cipher.encryptor()
    return worker.update(data) + worker.finalize()


class Interrupted(Exception):
    pass


class Session:
    def __init__(self, sock, raw):
        self.sock, self.raw, self.large, self.buffer = sock, raw, False, b""
        self.packet, self.statements, self.fields, self.begun = 8192, {}, FIELDS, False

    def receive(self):
        head = self.exactly(8)
        if head[4] not in (1, 6, 12):
            raise ConnectionError
        length = struct.unpack(">I" if self.large else ">H", head[:4 if self.large else 2])[0]
        return head[4], self.exactly(length - 8)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise ConnectionError
            data += part
        return data

    def send(self, kind, body, flags=0):
        length = struct.pack(">I", len(body) + 8) if self.large else struct.pack(">HH", len(body) + 8, 0)
        self.sock.sendall(length + bytes([kind, flags, 0, 0]) + body)

    def answer(self, message):
        """In packets that end anywhere."""
        step = self.packet - 10
        for at in range(0, len(message), step):
            self.send(6, b"\0\0" + message[at:at + step])

    # What a client says.

    def take(self, count):
        while len(self.buffer) < count:
            kind, body = self.receive()
            if kind == 12:
                note("INTERRUPT" if body[2] == 3 else f"MARKER {body[2]}")
                if body[2] == 2:
                    self.send(12, b"\1\0\2")
                    self.answer(self.error(1013, "ORA-01013: user requested cancel of current operation\n"))
                continue
            if kind == 6 and body[:2] == b"\0\x40":
                raise ConnectionError
            self.buffer += body[2:]
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def byte(self):
        return self.take(1)[0]

    def ub(self):
        return int.from_bytes(self.take(self.byte()), "big")

    def ubs(self, count):
        return [self.ub() for _ in range(count)]

    def short(self):
        length = self.byte()
        if length != 254:
            return self.take(0 if length == 255 else length)
        value = b""
        while chunk := self.ub():
            value += self.take(chunk)
        return value

    def announced(self):
        return self.short() if self.ub() else b""

    # Letting in.

    def enter(self):
        redirected = False
        while True:
            kind, body = self.receive()
            length, offset = struct.unpack(">HH", body[16:20])
            data = body[offset - 8:] if len(body) > offset - 8 else self.receive()[1][2:]
            wanted = data[:length].decode()
            note(f"CONNECT {wanted}")
            service = re.search(r"\((SERVICE_NAME|SID)=([^)]*)\)", wanted)
            if OPTIONS.tls and not redirected:
                redirected = True
                self.send(11, b"", 8)
                self.sock = TLS.wrap_socket(socket.socket(fileno=self.sock.detach()), server_side=True)
                continue
            if service[2] == "ELSEWHERE":
                there = f"(ADDRESS=(PROTOCOL=tcp)(HOST=localhost)(PORT={OPTIONS.port}))\0" + wanted.replace("ELSEWHERE", SERVICE)
                self.send(5, struct.pack(">H", len(there)))
                self.send(6, b"\0\0" + there.encode())
                return False
            if service[2] == "FORBIDDEN":
                there = "(ADDRESS=(PROTOCOL=tcp)(HOST=169.254.169.254)(PORT=80))\0" + wanted
                self.send(5, struct.pack(">H", len(there)) + there.encode())
                return False
            if service[2] == "ENCRYPTED":
                self.accept(0x10)
                return False
            if service.groups() not in (("SERVICE_NAME", SERVICE), ("SID", SID)):
                code = 12514 if service[1] == "SERVICE_NAME" else 12505
                reason = f"(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR={code})(ERROR_STACK=(ERROR=(CODE={code})(EMFI=4))))".encode()
                self.send(4, b"\0\0" + struct.pack(">H", len(reason)) + reason)
                return False
            self.accept(0)
            self.large = True
            return True

    def accept(self, flags):
        self.send(2, struct.pack(">HHHHHHHB", 318, 0, 8192, 8192, 1, 0, 45, flags) + bytes(9) + struct.pack(">I", self.packet)
                  + bytes(5) + struct.pack(">I", 0))

    def sign_in(self):
        if self.byte() != 1:
            raise ConnectionError
        while self.byte():
            pass
        while self.byte():
            pass
        abilities = bytearray(45)
        abilities[7] = FIELDS
        fdo = bytes([0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0]) + struct.pack(">H", 2000) + bytes(4)
        self.answer(b"\1\6\0Oracle stand-in\0" + struct.pack("<HBH", OPTIONS.characters, 1, 0) + struct.pack(">H", len(fdo)) + fdo
                    + short(bytes(abilities)) + short(bytes([2, 0, 0, 0, 0, 0, 4])))
        if self.byte() != 2:
            raise ConnectionError
        self.take(5)
        caps = self.short()
        self.fields = min(FIELDS, caps[7])
        self.short()
        while struct.unpack(">H", self.take(2))[0]:
            if struct.unpack(">H", self.take(2))[0]:
                self.take(4)
        self.answer(b"\2" + struct.pack(">HHHH", 1, 1, 1, 0) + struct.pack(">HH", 2, 0) + b"\0\0")

        user, _ = self.credentials(118)
        salt, csk = os.urandom(16), os.urandom(16)
        password = PASSWORD if user.upper() == USER else "another"
        key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt + b"AUTH_PBKDF2_SPEEDY_KEY", 4096, 64)
        digest = hashlib.sha512(key + salt).digest()[:32]
        theirs = os.urandom(32)
        self.answer(self.parameters([
            ("AUTH_SESSKEY", cbc(digest, theirs).hex().upper(), 0), ("AUTH_VFR_DATA", salt.hex().upper(), OPTIONS.verifier),
            ("AUTH_PBKDF2_CSK_SALT", csk.hex().upper(), 0), ("AUTH_PBKDF2_VGEN_COUNT", "4096", 0),
            ("AUTH_PBKDF2_SDER_COUNT", "3", 0), ("AUTH_GLOBALLY_UNIQUE_DBID\0", "0" * 32, 0)]) + b"\x09" + ub(1) + ub(0))
        user, pairs = self.credentials(115)
        ours = cbc(digest, bytes.fromhex(pairs["AUTH_SESSKEY"]), True)
        combined = hashlib.pbkdf2_hmac("sha512", (ours + theirs).hex().upper().encode(), csk, 3, 32)
        shown = cbc(combined, bytes.fromhex(pairs["AUTH_PASSWORD"]), True)[16:]
        if user.upper() != USER or shown[:-shown[-1]].decode("utf-8", "replace") != PASSWORD:
            self.answer(self.error(1017, "ORA-01017: invalid username/password; logon denied\n"))
            raise ConnectionError
        speedy = cbc(combined, bytes.fromhex(pairs["AUTH_PBKDF2_SPEEDY_KEY"]), True)[16:]
        note(f"LOGIN {user} speedy={speedy == key} encrypted={OPTIONS.tls}")
        proof = cbc(combined, os.urandom(16) + (b"SERVER_TO_CLIENT" if OPTIONS.honest else b"SOMEBODY_ELSE..."))
        self.answer(self.parameters([
            ("AUTH_VERSION_NO", str(VERSION_NO), 0), ("AUTH_SESSION_ID", "7", 0), ("AUTH_SERIAL_NUM", "1", 0),
            ("AUTH_SC_DBUNIQUE_NAME", "SHOP", 0), ("AUTH_SC_SERVICE_NAME", SERVICE, 0), ("AUTH_SC_DB_DOMAIN", "", 0),
            ("AUTH_INSTANCENAME", "SHOP1", 0), ("AUTH_MAX_OPEN_CURSORS", "300", 0), ("AUTH_MAX_IDEN_LENGTH", "128", 0),
            ("AUTH_SVR_RESPONSE", proof.hex().upper(), 0)]) + b"\x09" + ub(1) + ub(0))

    def credentials(self, function):
        if [self.byte(), self.byte()] != [3, function]:
            raise ConnectionError
        self.take(2)
        self.ubs(2)
        self.byte()
        count = self.ub()
        self.take(2)
        user = self.short().decode()
        pairs = {}
        for _ in range(count):
            name, value = self.announced().decode(), self.announced().decode()
            self.ub()
            pairs[name] = value
        return user, pairs

    def parameters(self, pairs):
        return b"\x08" + ub(len(pairs)) + b"".join(
            announced(name.encode()) + announced(value.encode()) + ub(flags) for name, value, flags in pairs)

    def error(self, code, message="", cursor=0, rows=0):
        return (b"\x04" + ub(1) + ub(1) + ub(0) + ub(code if code < 65536 else 0) + ub(0) + ub(0) + ub(cursor) + ub(0) + bytes(6)
                + ub(0) + ub(0) + b"\0" + ub(0) + ub(0) + ub(0) + b"\0\0" + ub(0) + ub(0) + ub(0) + ub(0) + ub(0) + ub(0)
                + ub(code) + ub(rows) + (short(message.encode()) if code else b""))

    # Calls.

    def serve(self):
        while True:
            kind, function = self.byte(), self.byte()
            self.byte()
            if kind == 17 and function == 105:
                self.byte()
                for cursor in self.ubs(self.ub()):
                    note(f"CLOSE {'known' if self.statements.pop(cursor, None) else 'unknown'}")
                continue
            if kind != 3:
                raise ConnectionError
            if function in (9, 14, 15, 147):
                note({9: "LOGOFF", 14: "COMMIT", 15: "ROLLBACK", 147: "PING"}[function])
                self.begun &= function not in (14, 15)
                self.answer(b"\x09" + ub(1) + ub(0))
                continue
            try:
                if function == 94:
                    self.execute()
                elif function == 5:
                    cursor, rows = self.ubs(2)
                    self.rows(cursor, rows, b"")
                else:
                    raise ConnectionError
            except Failure as failure:
                note(f"FAILED {failure}")
                self.answer(self.error(failure.code, f"{failure}\n"))

    def execute(self):
        options, cursor = self.ubs(2)
        self.byte()
        self.ub()
        self.byte()
        self.ub()
        self.take(2)
        _, rows, _ = self.ubs(3)
        self.byte()
        self.ub()
        self.take(6)
        defines = self.ub()
        self.ub()
        self.take(3)
        self.ub()
        self.byte()
        self.ubs(2)
        self.byte()
        self.ub()
        self.byte()
        if self.fields >= 8:
            for _ in range(2):
                self.byte()
                self.ub()
            self.byte()
        if self.fields >= 9:
            self.byte()
            self.ub()
        sql = self.short().decode() if options & 1 else ""
        self.ubs(13)
        for _ in range(defines):
            self.take(4)
            self.ubs(3)
            self.announced()
            self.ubs(2)
            self.byte()
            self.ub()
            if self.fields >= 8:
                self.ub()
        if options & 0x10:
            note("DEFINE")
            self.statements[cursor].define()
            self.answer(self.error(0, cursor=cursor))
            return
        note(f"SQL {' '.join(sql.split())}")
        if not re.match("SELECT|WITH", sql.lstrip(), re.I):
            self.begun |= sql == "SET TRANSACTION READ ONLY"
            self.answer(b"\x17\x05" + ub(1) + b"\x01" + ub(1) + b"\x01" + announced(b"APP") + ub(0) + ub(168) + ub(0)
                        + b"\x08" + ub(0) + ub(0) + ub(0) + ub(0) + self.error(0))
            return
        if not self.begun:
            raise Failure(1456, "no read-only transaction has begun")
        statement = Statement(sql)
        cursor = max(self.statements, default=0) + 1
        self.statements[cursor] = statement
        described = self.describe(statement)
        if statement.has_large():
            self.answer(described + self.error(0, cursor=cursor))
        else:
            self.rows(cursor, rows, described)

    def describe(self, statement):
        columns = b""
        for position, (name, (number, form, size, _)) in enumerate(zip(statement.names, statement.types), 1):
            columns += bytes([number, 0, 0, 0]) + ub(size) + ub(0) + ub(0) + ub(0) + ub(0)
            columns += ub([0, 873, 2000][form]) + bytes([form]) + ub(size if form else 0) + (ub(0) if self.fields >= 8 else b"")
            columns += bytes([1, len(name)]) + announced(name.encode()) + ub(0) + ub(0) + ub(position) + ub(0)
        count = len(statement.names)
        return (b"\x10" + short(bytes(8)) + ub(100) + ub(count) + b"\1" + columns + announced(bytes(7)) + ub(0) * 4 + ub(0))

    def rows(self, cursor, wanted, before):
        statement = self.statements[cursor]
        if statement.slow:
            self.answer(before)
            self.sleep()
            before = b""
        message = before + b"\6\2" + ub(1) + ub(0) + ub(wanted) + ub(0) + ub(0) + ub(0)
        for row in statement.rows[statement.at:statement.at + wanted]:
            values = []
            for value, (number, form, _, write) in zip(row, statement.types):
                raw = b"" if value is None else write(value)
                # A LONG says behind its value whether it was NULL.
                values.append((short(raw) if raw else b"\0") + (ub(0) + ub(0) if number in (8, 24) else b""))
            if statement.last is not None and statement.last != values:
                same = [a == b for a, b in zip(values, statement.last)]
                if any(same):
                    bits = bytearray((len(same) + 7) // 8)
                    for place, equal in enumerate(same):
                        if not equal:
                            bits[place // 8] |= 1 << place % 8
                    message += b"\x15" + ub(same.count(False)) + bytes(bits)
                    message += b"\7" + b"".join(value for value, equal in zip(values, same) if not equal)
                else:
                    message += b"\7" + b"".join(values)
            else:
                message += b"\7" + b"".join(values)
            statement.last = values
            statement.at += 1
            if statement.broken and statement.at == 5:
                # The server breaks off: both sides say so, and then comes the error.
                self.answer(message)
                self.send(12, b"\1\0\1")
                self.send(12, b"\1\0\2")
                while self.receive()[0] != 12:
                    pass
                self.send(12, b"\1\0\2")
                raise Failure(1555, "snapshot too old")
        ended = statement.at >= len(statement.rows)
        self.answer(message + self.error(1403 if ended else 0, "ORA-01403: no data found\n", cursor, statement.at))

    def sleep(self):
        """Three seconds, unless the client interrupts them."""
        self.sock.settimeout(3)
        try:
            self.buffer += self.take(1)
        except (TimeoutError, socket.timeout):
            pass
        finally:
            self.sock.settimeout(None)


LOCK = threading.Lock()


def note(line):
    with LOCK, open(OPTIONS.log, "a") as log:
        log.write(line + "\n")


def serve(raw):
    try:
        sock = TLS.wrap_socket(raw, server_side=True) if OPTIONS.tls else raw
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = Session(sock, raw)
        if session.enter():
            session.sign_in()
            session.serve()
    except (ConnectionError, ssl.SSLError, OSError):
        pass
    finally:
        raw.close()


def certificate():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False).sign(key, hashes.SHA256()))
    return (made.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--tls", action="store_true")
    # The database's character set, 178 being Windows-1252.
    parser.add_argument("--characters", type=int, default=873)
    # What the server keeps of a password; 6949 is what Oracle 11 kept.
    parser.add_argument("--verifier", type=int, default=0x4815)
    parser.add_argument("--dishonest", dest="honest", action="store_false")
    OPTIONS = parser.parse_args()
    pem, key = certificate()
    with open(OPTIONS.certificate, "wb") as file:
        file.write(pem + key)
    TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    TLS.load_cert_chain(OPTIONS.certificate)
    with open(OPTIONS.certificate, "wb") as file:
        file.write(pem)
    with socket.create_server(("127.0.0.1", OPTIONS.port)) as listener:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
