"""Oracle's own client, python-oracledb, at the stand-in: what it reads there is what the connector has to read, too.

    client.py PORT
"""

import sys

import oracledb

PORT = int(sys.argv[1])
oracledb.defaults.fetch_lobs = False
oracledb.defaults.fetch_decimals = True
connection = oracledb.connect(user="rivergen", password="s3cret; 'x", dsn=f"127.0.0.1:{PORT}/SHOP")
assert connection.version == "19.3.0.0.0", connection.version
cursor = connection.cursor()
cursor.arraysize = cursor.prefetchrows = 3
cursor.execute("SET TRANSACTION READ ONLY")
cursor.execute('SELECT t1."id", t1."name", t1."city", t1."salary", t1."rate", t1."seen" FROM "APP"."people" t1 ORDER BY t1."id"')
rows = cursor.fetchall()
assert [row[0] for row in rows] == [1, 2, 3, 4, 5, 6, 7], rows
assert rows[0][1:5] == ("Anna", "Rome", rows[0][3], 0.1) and str(rows[0][3]) == "1000.5", rows[0]
assert rows[1][5].microsecond == 999999 and rows[2][2:] == (None, None, None, None), rows[1:3]
cursor.execute('SELECT t1."id", t1."note" FROM "APP"."orders" t1 ORDER BY t1."id"')
assert [row[1] for row in cursor] == ["first", None, None, "nobody", "unknown", "ü"]
cursor.execute('SELECT t1."D", t1."F", t1."G", t1."H", t1."K", t1."L" FROM "APP"."TYPES" t1 FETCH FIRST 1 ROWS ONLY')
row = cursor.fetchone()
assert str(row[0]) == "1234567890123456789012345678.0123456789" and row[1] == "ü😀" and row[2] == b"\x00\xff", row[:3]
# With its zone, which is two hours away.
assert row[3] == b"\xab" * 70000 and row[4] == "x" * 100000 and row[5].hour == 12, row[5]
for failing, code in [('SELECT "x" FROM "APP"."people"', 904), ('SELECT 1 FROM "APP"."NOWHERE"', 942)]:
    try:
        cursor.execute(failing)
        raise AssertionError(failing)
    except oracledb.DatabaseError as error:
        assert error.args[0].code == code, error
connection.close()
for password, service, told in [("wrong", "SHOP", "ORA-01017"), ("s3cret; 'x", "MISSING", "ORA-12514")]:
    try:
        oracledb.connect(user="rivergen", password=password, dsn=f"127.0.0.1:{PORT}/{service}")
        raise AssertionError(told)
    except oracledb.DatabaseError as error:
        assert told in str(error), error
print("read")
