"""A stand-in for SQL Server, for the tests of its connector.

The protocol (prelogin, TLS inside of it, login, packets, tokens) is that of pysqlbridge, which SQL Server's own clients
connect to. Statements are parsed as Transact-SQL by sqlglot and answered by DuckDB. Three things that DuckDB does not do
are put into the statements, because the connector has to cope with them: without a COLLATE, texts are equal whatever
their case; blanks at a text's end do not count in any comparison of texts; and GROUP BY puts such texts together.

    server.py --port 14330 --log FILE [--certificate FILE] [--no-tls]

Every login, statement and cancellation is a line in the log.
"""

import argparse
import datetime
import decimal
import struct
import threading
import time

import duckdb
import sqlglot
from sqlglot import exp

from pysqlbridge import certificate
from pysqlbridge.server import BridgeServer, _Handler
from pysqlbridge.tds import connection as protocol
from pysqlbridge.tds.prelogin import Encryption, server_response
from pysqlbridge.tds.packet import PacketType, build_packet, reassemble
from pysqlbridge.tds.result import Bit, Column, ColumnType, Float, Integer, NVarChar, QueryError, QueryResult

USER, PASSWORD, DATABASE = "rivergen", "s3cret; 'x", "shop"

# Name, declared type, NULL allowed, what it is read from in DuckDB.
TABLES = {
    ("dbo", "people", "U"): [
        ("id", "int", False), ("name", "nvarchar(60)", False), ("city", "varchar(20)", True), ("age", "bigint", True),
        ("salary", "decimal(10,2)", True), ("rate", "float", True), ("active", "bit", True), ("born", "date", True),
        ("seen", "datetime2(6)", True), ("boss", "int", True),
    ],
    ("dbo", "orders", "U"): [
        ("id", "bigint", False), ("person", "int", True), ("amount", "decimal(8,2)", True), ("price", "real", True),
        ("placed", "datetimeoffset(6)", True), ("note", "nvarchar(max)", True),
    ],
    ("dbo", "types", "U"): [
        ("a", "tinyint", False), ("b", "smallint", True), ("c", "money", True), ("d", "decimal(38,10)", True),
        ("e", "char(5)", True), ("f", "uniqueidentifier", True), ("g", "varbinary(10)", True), ("h", "time(7)", True),
        ("i", "datetime", True), ("j", "datetimeoffset(3)", True), ("odd ]name", "int", True), ("k", "xml", True),
        ("l", "smalldatetime", True), ("m", "datetime2(7)", True),
    ],
    ("dbo", "blanks", "U"): [("n", "int", False), ("t", "nvarchar(20)", True)],
    ("dbo", "big", "V"): [("n", "bigint", True), ("t", "varchar(100)", True)],
    ("dbo", "slow", "V"): [("s", "int", True)],
    ("sales", "totals", "V"): [("person", "int", True), ("total", "decimal(38,2)", True)],
}

SETUP = """
SET TimeZone = 'UTC';
CREATE SCHEMA dbo; CREATE SCHEMA sales; CREATE SCHEMA sys;
CREATE TABLE dbo.people (id int, name varchar, city varchar, age bigint, salary decimal(10,2), rate double,
    active boolean, born date, seen timestamp, boss int);
INSERT INTO dbo.people VALUES
    (1, 'Anna', 'Rome', 30, 1000.50, 0.1, true, '1990-05-01', '2024-03-10 12:30:00', NULL),
    (2, 'anna', 'Oslo', 41, 0.10, 0.2, false, '1985-12-31', '2024-02-29 23:59:59.999999', 1),
    (3, 'Bob', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1),
    (4, 'O''Brien; --', 'rome', 29, 99999999.99, 1e308, true, '1969-07-20', '1969-12-31 00:00:01', 2),
    (5, 'Jürgen', 'Rome', 41, -5.25, -0.3, false, '2001-01-01', '2024-03-10 12:30:00', 2),
    (6, '100%', '', 0, 1000.51, 1e300, NULL, '1990-05-01', '2023-12-25 08:00:00', 3);
ALTER TABLE dbo.people ADD COLUMN secret int;
CREATE TABLE dbo.orders (id bigint, person int, amount decimal(8,2), price real, placed timestamptz, note varchar);
INSERT INTO dbo.orders VALUES
    (1, 1, 5.00, 1.5, '2024-01-01 00:00:00', 'first'), (2, 1, 7.25, 2.5, NULL, NULL), (3, 2, 1.00, 0.1, now(), ''),
    (4, NULL, 100.00, 3, '2024-06-01 12:00:00', 'nobody'), (5, 77, 2.50, NULL, NULL, 'unknown'), (6, 5, 0, 0, NULL, 'ü');
CREATE TABLE dbo.types (a utinyint, b smallint, c decimal(19,4), d decimal(38,10), e varchar, f uuid, g blob,
    h time, i timestamp, j timestamptz, "odd ]name" int, k varchar, l timestamp, m timestamp);
INSERT INTO dbo.types VALUES
    (255, -3, 922337203685477.5807, 1234567890123456789012345678.0123456789, 'ab   ',
     '123E4567-E89B-12D3-A456-426655440000', '\\x00\\xFF'::blob, '23:59:59.5', '2024-02-29 12:00:00.003',
     '2024-02-29 12:00:00+02:00', 7, '<a>1</a>', '2024-02-29 12:30:00', '9999-12-31 23:59:59.999999'),
    (0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE dbo.blanks (n int, t varchar);
INSERT INTO dbo.blanks VALUES (1, 'x'), (2, 'x '), (3, 'X'), (4, ''), (5, ' '), (6, NULL), (7, 'x'), (8, 'a[b');
CREATE VIEW dbo.big AS SELECT range AS n, repeat('x', 100) AS t FROM range(1, 50001);
CREATE VIEW dbo.slow AS SELECT 1 AS s;
CREATE VIEW sales.totals AS SELECT person, CAST(sum(amount) AS decimal(38,2)) AS total FROM dbo.orders GROUP BY person;
CREATE MACRO DATALENGTH(t) AS strlen(t);
CREATE MACRO SWITCHOFFSET(t, z) AS t;
CREATE MACRO QUOTENAME(t) AS '[' || t || ']';
CREATE MACRO HAS_PERMS_BY_NAME(a, b, c, d, e) AS CASE WHEN d = 'secret' THEN 0 ELSE 1 END;
CREATE MACRO SERVERPROPERTY(t) AS '16.0.4175.1';
CREATE TABLE sys.schemas (name varchar, schema_id int);
CREATE TABLE sys.objects (name varchar, object_id int, schema_id int, type varchar, is_ms_shipped boolean);
CREATE TABLE sys.types (name varchar, system_type_id int, user_type_id int);
CREATE TABLE sys.columns (object_id int, name varchar, column_id int, system_type_id int, user_type_id int,
    max_length smallint, precision smallint, scale smallint, is_nullable boolean, is_hidden boolean, encryption_type int);
CREATE TABLE sys.indexes (object_id int, index_id int, is_primary_key boolean);
CREATE TABLE sys.index_columns (object_id int, index_id int, column_id int);
CREATE TABLE sys.foreign_key_columns (constraint_object_id int, parent_object_id int, parent_column_id int,
    referenced_object_id int, referenced_column_id int);
CREATE TABLE sys.default_constraints (parent_object_id int, parent_column_id int, definition varchar);
CREATE TABLE sys.extended_properties (class int, major_id int, minor_id int, name varchar, value varchar);
CREATE TABLE sys.partitions (object_id int, index_id int, rows bigint);
INSERT INTO sys.schemas VALUES ('dbo', 1), ('sales', 5);
INSERT INTO sys.indexes VALUES (100, 1, true);
INSERT INTO sys.index_columns VALUES (100, 1, 1);
INSERT INTO sys.foreign_key_columns VALUES (900, 100, 10, 100, 1);
INSERT INTO sys.default_constraints VALUES (100, 4, '((7))');
INSERT INTO sys.extended_properties VALUES (1, 100, 0, 'MS_Description', 'All of them'),
    (1, 100, 4, 'MS_Description', 'In years');
INSERT INTO sys.partitions VALUES (100, 1, 4), (100, 1, 2);
"""

BYTES = {"nvarchar": 2, "nchar": 2}
# Length, precision and scale where the declaration does not say them.
FIXED = {"tinyint": (1, 3, 0), "smallint": (2, 5, 0), "int": (4, 10, 0), "bigint": (8, 19, 0), "bit": (1, 1, 0),
         "float": (8, 53, 0), "real": (4, 24, 0), "money": (8, 19, 4), "xml": (-1, 0, 0)}


def database():
    shop = duckdb.connect()
    shop.execute(SETUP)
    types = {}
    for number, ((schema, table, kind), columns) in enumerate(TABLES.items()):
        place = 100 + number
        shop.execute("INSERT INTO sys.objects VALUES (?, ?, ?, ?, false)",
                     [table, place, 1 if schema == "dbo" else 5, kind])
        hidden = [("secret", "int", True)] if table == "people" else []
        for position, (name, declared, nullable) in enumerate(columns + hidden, 1):
            base, _, rest = declared.rstrip(")").partition("(")
            type_id = types.setdefault(base, 50 + len(types))
            length, precision, scale = FIXED.get(base, (8, 0, 0))
            if base in ("decimal", "numeric"):
                precision, scale = map(int, rest.split(","))
            elif base in ("time", "datetime2", "datetimeoffset"):
                scale = int(rest)
            elif rest:
                length = -1 if rest == "max" else int(rest) * BYTES.get(base, 1)
            shop.execute("INSERT INTO sys.columns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, false, NULL)",
                         [place, name, position, type_id, type_id, length, precision, scale, nullable])
    shop.executemany("INSERT INTO sys.types VALUES (?, ?, ?)", [[name, n, n] for name, n in types.items()])
    return shop


SHOP = database()


def collated(node):
    """Whether a text is compared by its code units, or None where it does not show that it is a text."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Collate):
        return True
    return False if isinstance(node, exp.National) else None


def translate(sql):
    """Transact-SQL as DuckDB's SQL, with the comparisons of SQL Server."""
    tree = sqlglot.parse_one(sql.replace(" AS float)", " AS DOUBLE PRECISION)"), read="tsql")
    trimmed = lambda node: exp.func("RTRIM", node.copy())
    for node in list(tree.find_all(exp.EQ, exp.NEQ)):
        sides = [collated(node.this), collated(node.expression)]
        if sides == [None, None]:
            continue
        for side in ("this", "expression"):
            text = trimmed(node.args[side])
            node.set(side, text if True in sides else exp.func("LOWER", text))
    for group in list(tree.find_all(exp.Group)):
        keys = [trimmed(key) if collated(key) else key for key in group.expressions]
        shown = {key.sql("tsql"): key for key in group.expressions if collated(key)}
        select = group.parent
        # What stands for a group is any of its texts.
        for part in [*select.expressions, *(select.args["order"].expressions if select.args.get("order") else [])]:
            for node in list(part.find_all(exp.Paren)):
                if node.sql("tsql") in shown and not isinstance(node.parent, exp.Paren):
                    node.replace(exp.func("ANY_VALUE", node.copy()))
        group.set("expressions", keys)
    return tree.transform(simpler).sql("duckdb")


def simpler(node):
    if isinstance(node, exp.Collate):
        return node.this.transform(simpler)
    if isinstance(node, exp.DateAdd) and node.text("unit").lower() == "nanosecond":
        # There are none to cut off.
        return node.this.transform(simpler)
    if isinstance(node, exp.National):
        return exp.Literal.string(node.name)
    if isinstance(node, exp.DataType) and node.this in (exp.DataType.Type.BIT, exp.DataType.Type.BOOLEAN):
        return exp.DataType.build("boolean")
    if isinstance(node, exp.DataType) and node.this in exp.DataType.TEXT_TYPES:
        return exp.DataType.build("text")
    if isinstance(node, exp.Div):
        return exp.IntDiv(this=node.this, expression=node.expression).transform(simpler)
    if isinstance(node, exp.Add) and isinstance(node.this, exp.Cast) and node.this.to.is_type("text", "nvarchar", "varchar"):
        return exp.DPipe(this=node.this, expression=node.expression).transform(simpler)
    if isinstance(node, exp.Like) and isinstance(node.expression, exp.National):
        node.set("expression", exp.Literal.string(node.expression.name.replace("[[]", "[")))
    return node


class Plain(ColumnType):
    """A type by its bytes in [MS-TDS] 2.2.5.4 and 2.2.5.5."""

    def __init__(self, info, write):
        self.info, self.write = info, write

    def type_info(self):
        return self.info

    def encode(self, value):
        if value is None:
            return b"\x00"
        written = self.write(value)
        return bytes([len(written)]) + written


def decimal_type(precision, scale):
    size = 4 if precision <= 9 else 8 if precision <= 19 else 12 if precision <= 28 else 16

    def write(value):
        digits = int(decimal.Decimal(value).scaleb(scale, decimal.Context(prec=60)))
        return bytes([digits >= 0]) + abs(digits).to_bytes(size, "little")
    return Plain(bytes([0x6A, size + 1, precision, scale]), write)


FIRST = datetime.date(1, 1, 1)


def date_bytes(value):
    return (value - FIRST).days.to_bytes(3, "little")


def time_bytes(value):
    micros = ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    # A tenth of a microsecond that the connector is to cut off.
    return (micros * 10).to_bytes(5, "little")


def zoned_bytes(value):
    value = value.astimezone(datetime.timezone.utc)
    return time_bytes(value.time()) + date_bytes(value.date()) + struct.pack("<h", 60)


class Binary(ColumnType):
    def type_info(self):
        return b"\xa5" + struct.pack("<H", 8000)

    def encode(self, value):
        return b"\xff\xff" if value is None else struct.pack("<H", len(value)) + bytes(value)


def column_type(described, values):
    # A moment of fewer digits is still one.
    name = str(described).removesuffix("_MS").removesuffix("_S")
    if name.startswith("DECIMAL"):
        return decimal_type(*map(int, name[8:-1].split(",")))
    if name == "VARCHAR":
        return NVarChar(None if any(value and len(value) > 4000 for value in values) else 4000)
    return {
        "BOOLEAN": Bit(), "UTINYINT": Integer(1), "SMALLINT": Integer(2), "INTEGER": Integer(4), "BIGINT": Integer(8),
        "HUGEINT": Integer(8), "FLOAT": Float(4), "DOUBLE": Float(8), "BLOB": Binary(),
        "DATE": Plain(b"\x28", date_bytes), "TIME": Plain(b"\x29\x07", time_bytes),
        "TIMESTAMP": Plain(b"\x2a\x07", lambda value: time_bytes(value.time()) + date_bytes(value.date())),
        "TIMESTAMP WITH TIME ZONE": Plain(b"\x2b\x07", zoned_bytes),
    }[name]


def answer(query):
    note(f"BATCH {' '.join(query.sql.split())}")
    if query.sql.startswith("SET "):
        return QueryResult(columns=[], rows=[])
    if "[slow]" in query.sql:
        time.sleep(3)
    cursor = SHOP.cursor()
    cursor.execute("SET TimeZone = 'UTC'")
    try:
        cursor.execute(translate(query.sql))
        rows = [list(row) for row in cursor.fetchall()]
    except duckdb.CatalogException as error:
        raise QueryError(str(error), number=208)
    except duckdb.BinderException as error:
        raise QueryError(str(error), number=207)
    columns = [Column(name, column_type(described, [row[i] for row in rows]))
               for i, (name, described, *_) in enumerate(cursor.description)]
    return QueryResult(columns=columns, rows=rows)


class Logins:
    configured = True

    def admits(self, user, password):
        return user in (USER, "routed") and password == PASSWORD


class NoTunnel:
    def unwrap(self, data):
        return data


class Connection(protocol.Connection):
    """The bridge's, and: sessions without TLS, a login's database, sending on, a log."""

    def _step_prelogin(self, responses):
        message = reassemble(self._buffer)
        asked = message and protocol.Prelogin.parse(message.payload)
        if not message or not (OPTIONS.no_tls or asked.encryption is Encryption.NOT_SUPPORTED):
            return super()._step_prelogin(responses)
        del self._buffer[:message.consumed]
        response = server_response(version=self._version, encryption=Encryption.NOT_SUPPORTED, asked=asked)
        responses.append(build_packet(PacketType.TABULAR_RESULT, response.build()))
        self._tunnel = NoTunnel()
        self._state = protocol.ConnectionState.EXPECT_LOGIN
        return True

    def _answer_sql_login(self, responses):
        login = self._login
        read_only = bool(getattr(login, "type_flags", 0) & 0x20)
        note(f"LOGIN {login.user_name} {login.app_name} {login.database} read_only={read_only} "
             f"encrypted={self._session_encrypted}")
        if login.database != DATABASE:
            self._send(responses, protocol.error_response(
                4060, f'Cannot open database "{login.database}" requested by the login.', severity=11,
                server=self._server_name, tds_version=self._tds_version))
            self._state = protocol.ConnectionState.FAILED
            return True
        if login.user_name == "routed" and login.server_name == "127.0.0.1":
            host = "localhost".encode("utf-16-le")
            value = struct.pack("<BHH", 0, OPTIONS.port, len(host) // 2) + host
            body = struct.pack("<BH", 20, len(value)) + value + b"\x00\x00"
            ack = protocol.login_response(version=(16, 0, 4175), server_name="x", tds_version=self._tds_version)
            at = len(ack) - 13
            self._send(responses, ack[:at] + b"\xe3" + struct.pack("<H", len(body)) + body + ack[at:])
            self._state = protocol.ConnectionState.FAILED
            return True
        return super()._answer_sql_login(responses)

    def _take_message(self):
        message = super()._take_message()
        if message and message.type is PacketType.ATTENTION:
            note("ATTENTION")
        return message


LOCK = threading.Lock()


def note(line):
    with LOCK, open(OPTIONS.log, "a") as log:
        log.write(line + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--certificate")
    parser.add_argument("--no-tls", action="store_true")
    OPTIONS = parser.parse_args()
    made = certificate.self_signed("localhost")
    if OPTIONS.certificate:
        with open(OPTIONS.certificate, "wb") as file:
            file.write(made.cert_pem)
    import pysqlbridge.server
    pysqlbridge.server.Connection = Connection
    BridgeServer("127.0.0.1", OPTIONS.port, made, answer, DATABASE, Logins()).serve_forever()
