"""DuckDB as a yardstick: reads one query a line, answers its rows and its time as one line of JSON.

usage: duckdb_session.py THREADS NAME=FILE...
"""
import datetime
import decimal
import json
import sys
import time

import duckdb


def as_json(value):
    """A value as the server's answers write it."""
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, datetime.datetime):
        whole, _, fraction = value.strftime("%Y-%m-%dT%H:%M:%S.%f").partition(".")
        fraction = fraction.rstrip("0")
        return whole + (f".{fraction}" if fraction else "") + ("Z" if value.tzinfo else "")
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value


def main():
    threads, *files = sys.argv[1:]
    session = duckdb.connect(config={"threads": threads})
    session.execute("SET TimeZone = 'UTC'")
    for file in files:
        name, path = file.split("=", 1)
        session.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{path}')")
    print(json.dumps({"version": duckdb.__version__}), flush=True)
    for query in sys.stdin:
        begin = time.perf_counter()
        rows = session.execute(query).fetchall()
        seconds = time.perf_counter() - begin
        print(json.dumps({"seconds": seconds, "rows": [[as_json(v) for v in row] for row in rows]}), flush=True)


main()
