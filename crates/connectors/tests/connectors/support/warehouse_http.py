"""The public HTTP protocols of SQL services over DuckDB, as far as the tests need them.

Usage: warehouse_http.py KIND SCRIPT. Runs the script (DuckDB's SQL), then prints the port that it listens on. What is
asked comes in the service's own dialect and is translated by sqlglot (Snowflake's: by fakesnow, which knows more of
it), so that a statement has to mean there what it means here; how values, types, pages and errors are written follows
each service's public documentation.
"""

import base64
import datetime
import decimal
import gzip
import itertools
import json
import math
import re
import sys
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import duckdb
import sqlglot

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
PAGE = 7  # Rows: small, so that every result has several pages.


def run(sql):
    """The rows of the result."""
    if kind.dialect == "snowflake":
        return account.connect(database="shop", schema="public").cursor().execute(sql).fetchall()
    translated = sqlglot.transpile(sql, read=kind.dialect, write="duckdb")[0]
    if kind.dialect in ("databricks", "bigquery"):
        # What the translation leaves as it is: their weeks begin with 1.
        translated = re.sub(r"(EXTRACT\(DAYOFWEEK FROM|DAYOFWEEK\()", r"1 + \1", translated)
        translated = translated.replace("ISOWEEK", "WEEK")
    if kind.dialect in ("trino", "bigquery"):
        # A literal has the digits that are written.
        translated = re.sub(r"CAST\('-?(\d+)\.?(\d*)' AS DECIMAL(?:\(38, 5\))?\)", exact, translated)
    cursor = connection.cursor()
    cursor.execute("SET TimeZone = 'UTC'")
    return cursor.execute(translated).fetchall()


def refused(key, sql):
    """Keeps the rows that answer the statement, or tells why there are none."""
    try:
        results[key] = run(sql)
    except Exception as error:
        print(error, sql, file=sys.stderr)
        return error


def exact(literal):
    """The literal of a decimal with the precision that its digits have."""
    whole, fraction = literal.groups()
    digits = literal.group().partition(" AS ")[0]
    return f"{digits} AS DECIMAL({len(whole) + len(fraction)}, {len(fraction)}))"


def catalogue(table=None, schema=None):
    """One row a column, in the order that the connectors read."""
    rows = connection.cursor().execute(
        "SELECT lower(table_schema), table_name, table_type, column_name, ordinal_position::varchar, data_type, is_nullable"
        " FROM information_schema.columns JOIN information_schema.tables USING (table_catalog, table_schema, table_name)"
        " WHERE lower(table_catalog) = 'shop' AND NOT starts_with(table_schema, '_fs') ORDER BY 1, 2, ordinal_position"
    ).fetchall()
    return [[*row[:5], kind.named(row[5]), row[6], None, None] for row in rows
            if table in (None, row[1]) and schema in (None, row[0])]


def wanted(sql, column):
    """The value that the catalogue is narrowed to."""
    _, found, rest = sql.partition(f"c.{column} = '")
    return rest.partition("'")[0] if found else None


NEVER = ("slow", "late")


def never(sql):
    """The table whose rows never come, if it is that; of one of them even the beginning of the statement takes time."""
    found = next((name for name in NEVER if re.search(f'["`]{name}["`]', sql)), None)
    if found == "late":
        time.sleep(1)
    return found


class Trino:
    dialect = "trino"
    names = {"VARCHAR": "varchar", "TIMESTAMP": "timestamp(6)", "TIMESTAMP WITH TIME ZONE": "timestamp(6) with time zone",
             "FLOAT": "real", "BLOB": "varbinary"}

    def named(self, name):
        return self.names.get(name, name.lower())

    def value(self, value):
        if isinstance(value, float) and not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, datetime.datetime):
            zone = " UTC" if value.tzinfo else ""
            return value.replace(tzinfo=None).isoformat(" ", "microseconds") + zone
        return text(value)

    def page(self, key, first):
        rows = [] if key in NEVER else results[key]
        answer = {"id": key, "infoUri": "http://elsewhere.invalid/", "stats": {"state": "RUNNING"}}
        if first is not None:
            answer["data"] = [[self.value(value) for value in row] for row in rows[first:first + PAGE]]
        following = 0 if first is None else first + PAGE
        if first is None or following < len(rows) or key in NEVER:
            # The host is to be ignored.
            answer["nextUri"] = f"http://elsewhere.invalid/v1/statement/executing/{key}/{following}?slug=x"
        return 200, answer

    def handle(self, method, path, query, headers, body):
        if headers.get("X-Trino-User") != "ann":
            return 401, {}
        if method == "POST":
            if headers.get("X-Trino-Catalog") != "shop":
                error = {"errorName": "CATALOG_NOT_FOUND", "message": "secret words"}
                return 200, {"id": "x", "stats": {}, "error": error}
            key = next(keys)
            if never(body):
                return self.page(never(body), None)
            if "version()" in body:
                results[key] = [("476",)]
            elif "information_schema" in body:
                results[key] = catalogue(wanted(body, "table_name"), wanted(body, "table_schema"))
            elif (error := refused(key, body)):
                return 200, {"id": "x", "stats": {}, "error": {"errorName": "SYNTAX_ERROR", "message": str(error)}}
            return self.page(key, None)
        _, _, _, _, key, first = path.split("/")
        if method == "DELETE":
            cancelled.append(key)
            return 204, {}
        if key in NEVER:
            time.sleep(0.05)
        return self.page(key, int(first))


def text(value):
    """A value as most services write it: a text, or null."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value).replace("inf", "Infinity")
    if isinstance(value, decimal.Decimal) and kind.dialect != "databricks":
        return f"{value:f}"  # There, as Java writes it: with an exponent where it is very small.
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


class Databricks:
    dialect = "databricks"
    names = {"VARCHAR": "string", "INTEGER": "int", "TIMESTAMP": "timestamp_ntz", "TIMESTAMP WITH TIME ZONE": "timestamp",
             "BLOB": "binary"}

    def named(self, name):
        return self.names.get(name, name.lower())

    # The statements whose results lie behind links.
    linked = set()

    def rows(self, key, index):
        return [[text(value) for value in row] for row in results[key][index * PAGE:(index + 1) * PAGE]]

    def chunk(self, key, index):
        rows = self.rows(key, index)
        chunk = {"chunk_index": index, "row_offset": index * PAGE, "row_count": len(rows)}
        if (index + 1) * PAGE < len(results[key]):
            chunk["next_chunk_index"] = index + 1
            chunk["next_chunk_internal_link"] = "http://elsewhere.invalid/"
        if key not in self.linked:
            return {**chunk, "data_array": rows}
        link = f"http://127.0.0.1:{server.server_port}/store/{key}/{index}?sig=known"
        return {"external_links": [{**chunk, "external_link": link, "http_headers": {"x-store-key": "k"}}]} if rows else {}

    def handle(self, method, path, query, headers, body):
        if path.startswith("/store/"):
            # A store of somebody else's: the link is the key to it, and the warehouse's token is not for it.
            assert "Authorization" not in headers and headers["x-store-key"] == "k" and query == {"sig": "known"}
            _, _, key, index = path.split("/")
            return 200, self.rows(key, int(index))
        if headers.get("Authorization") != "Bearer dapi-secret":
            return 401, {"error_code": 401, "message": "secret words"}
        parts = path.removeprefix("/api/2.0/sql/statements").strip("/").split("/")
        if method == "GET" and len(parts) > 1:
            return 200, self.chunk(parts[0], int(parts[3]))
        if method == "GET":
            key = parts[0]
            if key in NEVER:
                return 200, {"statement_id": key, "status": {"state": "RUNNING"}}
            return 200, self.done(key)
        if parts[-1] == "cancel":
            cancelled.append(parts[0])
            return 200, {}
        asked = json.loads(body)
        assert asked["warehouse_id"] == "w1" and asked["format"] == "JSON_ARRAY", asked
        sql, key = asked["statement"], next(keys)
        if asked["disposition"] == "EXTERNAL_LINKS":
            self.linked.add(key)
            fetched.append(sql)
        if (name := never(sql)):
            return 200, {"statement_id": name, "status": {"state": "PENDING"}}
        if "current_version" in sql:
            results[key] = [("2025.40",)]
        elif "current_catalog" in sql:
            results[key] = [("shop",)]
        elif "information_schema" in sql:
            results[key] = catalogue(wanted(sql, "table_name"), wanted(sql, "table_schema"))
        elif (error := refused(key, sql)):
            failure = {"error_code": "BAD_REQUEST", "message": f"[PARSE_SYNTAX_ERROR] {error}"}
            return 200, {"statement_id": key, "status": {"state": "FAILED", "error": failure}}
        # Every other statement is asked for again.
        if int(key) % 2:
            return 200, {"statement_id": key, "status": {"state": "PENDING"}}
        return 200, self.done(key)

    def done(self, key):
        return {"statement_id": key, "status": {"state": "SUCCEEDED"}, "manifest": {"truncated": False},
                "result": self.chunk(key, 0)}


BRIEF = "brief@shop.example"
granted = []


class Bigquery:
    dialect = "bigquery"
    names = {"VARCHAR": "STRING", "INTEGER": "INT64", "BIGINT": "INT64", "DOUBLE": "FLOAT64", "FLOAT": "FLOAT64",
             "BOOLEAN": "BOOL", "TIMESTAMP": "DATETIME", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "BLOB": "BYTES"}

    def named(self, name):
        return self.names.get(name, name.replace("DECIMAL", "NUMERIC"))

    def value(self, value):
        if isinstance(value, datetime.datetime):
            if value.tzinfo is None:
                return value.isoformat()
            return str((value - EPOCH) // datetime.timedelta(microseconds=1))
        return text(value)

    def page(self, key, first):
        rows = results[key][first:first + PAGE]
        answer = {"jobReference": {"projectId": "shop", "jobId": key, "location": "EU"}, "jobComplete": True,
                  "rows": [{"f": [{"v": self.value(value)} for value in row]} for row in rows]}
        if first + PAGE < len(results[key]):
            answer["pageToken"] = str(first + PAGE)
        return 200, answer

    def handle(self, method, path, query, headers, body):
        if path == "/token":
            form = {name: values[0] for name, values in parse_qs(body).items()}
            header, claims, _ = form["assertion"].split(".")
            claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
            if claims["iss"] not in ("reader@shop.example", BRIEF) or "bigquery" not in claims["scope"]:
                return 400, {"error": "invalid_grant"}
            if claims["iss"] != BRIEF:
                return 200, {"access_token": "ya29-secret", "expires_in": 3600}
            # Of these only the newest is good, and for a request or so.
            granted.append(f"ya29-brief-{len(granted)}")
            return 200, {"access_token": granted[-1], "expires_in": 60}
        if headers.get("Authorization") not in ("Bearer ya29-secret", f"Bearer {(granted or [None])[-1]}"):
            return 401, {"error": {"message": "secret words"}}
        parts = path.removeprefix("/bigquery/v2/projects/shop/").split("/")
        if parts == ["datasets"]:
            names = connection.cursor().execute(
                "SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_catalog = 'shop' ORDER BY 1"
            ).fetchall()
            return 200, {"datasets": [{"datasetReference": {"datasetId": name}} for (name,) in names]}
        if parts[-1] == "cancel":
            cancelled.append(parts[1])
            return 200, {}
        if method == "GET":
            key = parts[1]
            assert query["location"] == "EU" and query["formatOptions.useInt64Timestamp"] == "true", query
            if key in NEVER:
                time.sleep(0.05)
                return 200, {"jobReference": {"jobId": key, "location": "EU"}, "jobComplete": False}
            return self.page(key, int(query.get("pageToken", 0)))
        asked = json.loads(body)
        assert asked["useLegacySql"] is False, asked
        sql, key = asked["query"], next(keys)
        if (name := never(sql)):
            return 200, {"jobReference": {"jobId": name, "location": "EU"}, "jobComplete": False}
        if "INFORMATION_SCHEMA" in sql:
            dataset = sql.partition(".INFORMATION_SCHEMA")[0].split("`")[-2]
            results[key] = catalogue(wanted(sql, "table_name"), dataset)
        elif (error := refused(key, sql)):
            return 400, {"error": {"message": str(error), "errors": [{"reason": "invalidQuery"}]}}
        # Every other job is not done at once.
        if int(key) % 2:
            return 200, {"jobReference": {"jobId": key, "location": "EU"}, "jobComplete": False}
        return self.page(key, 0)


class Snowflake:
    dialect = "snowflake"
    names = {"VARCHAR": "TEXT", "INTEGER": "NUMBER(9, 0)", "BIGINT": "NUMBER(18, 0)", "DOUBLE": "FLOAT",
             "TIMESTAMP": "TIMESTAMP_NTZ(9)", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_TZ(9)", "BLOB": "BINARY"}

    def named(self, name):
        return self.names.get(name, name.replace("DECIMAL", "NUMBER"))

    def value(self, value):
        if isinstance(value, datetime.datetime):
            zone = " 1440" if value.tzinfo else ""
            micros = (value.replace(tzinfo=datetime.timezone.utc) - EPOCH) // datetime.timedelta(microseconds=1)
            sign = "-" if micros < 0 else ""
            return f"{sign}{abs(micros) // 1000000}.{abs(micros) % 1000000:06}000{zone}"
        if isinstance(value, datetime.date):
            return str((value - EPOCH.date()).days)
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            return str(int(value))  # fakesnow makes fractions of sums of whole numbers.
        return value.hex().upper() if isinstance(value, bytes) else text(value)

    def partition(self, key, index):
        return [[self.value(value) for value in row] for row in results[key][index * PAGE:(index + 1) * PAGE]]

    def done(self, key):
        count = max(1, -(-len(results[key]) // PAGE))
        return 200, {"statementHandle": key, "code": "090001", "data": self.partition(key, 0),
                     "resultSetMetaData": {"numRows": len(results[key]), "partitionInfo": [{"rowCount": PAGE}] * count}}

    def handle(self, method, path, query, headers, body):
        kind = headers.get("X-Snowflake-Authorization-Token-Type")
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        if kind == "KEYPAIR_JWT":
            claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
            good = claims["sub"] == "127.ANN" and claims["iss"].startswith("127.ANN.SHA256:")
        else:
            good = (kind, token) in [("OAUTH", "oauth-secret"), ("PROGRAMMATIC_ACCESS_TOKEN", "pat-secret")]
        if not good:
            return 401, {"code": "390303", "message": "secret words"}
        parts = path.removeprefix("/api/v2/statements").strip("/").split("/")
        if method == "GET":
            key = parts[0]
            if key in NEVER:
                return 202, {"statementHandle": key, "code": "333334"}
            if "partition" in query:
                return 200, Packed({"data": self.partition(key, int(query["partition"]))})
            return self.done(key)
        if parts[-1] == "cancel":
            cancelled.append(parts[0])
            return 200, {}
        asked = json.loads(body)
        assert asked["warehouse"] == "WH" and asked["parameters"]["TIMEZONE"] == "UTC", asked
        sql, key = asked["statement"], next(keys)
        if (name := never(sql)):
            return 202, {"statementHandle": name, "code": "333334"}
        if "CURRENT_VERSION" in sql:
            results[key] = [("9.40.1",)]
        elif "information_schema" in sql:
            if '"missing"' in sql:
                return 422, {"code": "002003", "message": "secret words", "sqlState": "02000"}
            results[key] = catalogue(wanted(sql, "table_name"), wanted(sql, "table_schema"))
        elif (error := refused(key, sql)):
            return 422, {"code": f"{getattr(error, 'errno', 1003):06}", "message": str(error), "sqlState": "42000"}
        # Every other statement is asked for again.
        if int(key) % 2:
            return 202, {"statementHandle": key, "code": "333334"}
        return self.done(key)


class Packed:
    """An answer that is compressed."""

    def __init__(self, answer):
        self.answer = answer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, method):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        url = urlsplit(self.path)
        if url.path == "/fetched":
            status, answer = 200, fetched
        elif url.path == "/cancelled":
            status, answer = 200, cancelled
        elif url.path == "/granted":
            status, answer = 200, granted
        elif method == "GET" and next(gets) % 5 == 4:
            # Too much to do: whoever asks again is answered.
            self.send_response(429)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        else:
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            status, answer = kind.handle(method, url.path, query, self.headers, body)
        packed = isinstance(answer, Packed)
        raw = json.dumps(answer.answer if packed else answer).encode() if status != 204 else b""
        raw = gzip.compress(raw) if packed else raw
        self.send_response(status)
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        self.answer("GET")

    def do_POST(self):
        self.answer("POST")

    def do_DELETE(self):
        self.answer("DELETE")

    def log_message(self, *arguments):
        pass


results, cancelled, fetched = {}, [], []
keys = map(str, itertools.count())
gets = itertools.count()
warnings.simplefilter("ignore")
kind = {"trino": Trino, "databricks": Databricks, "bigquery": Bigquery, "snowflake": Snowflake}[sys.argv[1]]()
if kind.dialect == "snowflake":
    from fakesnow.instance import FakeSnow

    account = FakeSnow()
    account.connect(database="shop", schema="public")
    connection = account.duck_conn.cursor()
    connection.execute("SET TimeZone = 'UTC'; USE shop.public")
else:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; ATTACH ':memory:' AS shop; CREATE SCHEMA shop.public; USE shop.public")
connection.execute(sys.argv[2])
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
