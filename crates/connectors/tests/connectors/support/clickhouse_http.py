"""ClickHouse's HTTP interface over the engine in this process, as far as the tests need it.

Usage: clickhouse_http.py SCRIPT. Runs the script's statements, then prints the port that it listens on.
"""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from chdb import session

USER, PASSWORD, DATABASE = "reader", "t0p secret", "shop"
# Of the server or of the session, not of the statement.
OTHERS = {"query_id", "default_format", "database", "readonly", "cancel_http_readonly_queries_on_client_close"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        sql = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        parameters = dict(parse_qsl(urlsplit(self.path).query))
        if (self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key")) != (USER, PASSWORD):
            return self.answer(403, b"Code: 516. DB::Exception: reader: Authentication failed", 516)
        if parameters.get("database", DATABASE) != DATABASE:
            return self.answer(404, b"Code: 81. DB::Exception: no such database", 81)
        settings = [f"{name} = '{value}'" for name, value in parameters.items() if name not in OTHERS]
        statement = sql + (" SETTINGS " + ", ".join(settings) if settings else "")
        try:
            with one_at_a_time:
                body = engine.query(statement, parameters.get("default_format", "TabSeparated")).bytes()
            self.answer(200, body)
        except Exception as error:
            text = str(error)
            code = text.partition("Code: ")[2].partition(".")[0]
            print(text, statement, file=sys.stderr)
            self.answer(500, text.encode(), code)

    def answer(self, status, body, code=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


one_at_a_time = threading.Lock()
engine = session.Session()
engine.query(f"CREATE DATABASE {DATABASE}")
engine.query(f"USE {DATABASE}")
for statement in filter(str.strip, sys.argv[1].split(";\n")):
    engine.query(statement)
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
