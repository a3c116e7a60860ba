"""A cluster of three brokers that librdkafka mocks, with records in it.

Prints the address of a broker, and ends when its input does.
"""

import datetime
import decimal
import io
import json
import pathlib
import sys

import fastavro
from confluent_kafka import Producer

SCHEMA = fastavro.parse_schema(json.loads((pathlib.Path(__file__).parent / "order.avsc").read_text()))


def avro(n):
    placed = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=n)
    order = {"id": n, "customer": None if n % 5 == 0 else f"c{n % 3}", "total": decimal.Decimal(n) / 4,
             "placed": placed, "side": ["BUY", "SELL"][n % 2], "lines": [{"sku": "a", "n": n}]}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, order)
    return out.getvalue()


settings = {"test.mock.num.brokers": 3, "bootstrap.servers": "mock"}
first = Producer(settings)
brokers = ",".join(f"{broker.host}:{broker.port}" for broker in first.list_topics(timeout=30).brokers.values())

for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
    producer = Producer({"bootstrap.servers": brokers, "compression.type": codec, "linger.ms": 50})
    for n in range(200):
        value = json.dumps({"n": n, "codec": codec, "name": ["Anna", "anna", "Jürgen", "Bob"][n % 4], "padding": "x" * 100})
        producer.produce("events", value.encode(), key=f"k{n % 7}", partition=n % 4, timestamp=1_000_000 + n * 1_000,
                         headers=[("trace", f"t{n}".encode()), ("trace", None)])
    producer.flush(30)

producer = Producer({"bootstrap.servers": brokers})
for n in range(40):
    producer.produce("orders", b"\0" + (7).to_bytes(4, "big") + avro(n), partition=n % 2)
    producer.produce("bare", avro(n), partition=0)
producer.produce("orders", None, key="gone", partition=0)
producer.produce("blobs", b"\xff\xfe", key=b"\xff", partition=0)
producer.flush(30)

print(brokers.split(",")[0], flush=True)
sys.stdin.read()
