"""Uploads a file with tuspy, or goes on with an upload; prints where and how far.

    upload.py COLLECTION TOKEN FILE CHUNK_SIZE STOP_AT UPLOAD

STOP_AT 0 is the file's end; UPLOAD may be empty for a new one.
"""

import json
import sys

from tusclient.client import TusClient

collection, token, path, chunk_size, stop_at, upload = sys.argv[1:7]
client = TusClient(collection, headers={"Authorization": f"Bearer {token}"})
uploader = client.uploader(
    path,
    chunk_size=int(chunk_size),
    metadata={"filename": path.rsplit("/", 1)[-1], "file_category": "general"},
    upload_checksum=True,
    url=upload or None,
)
found = uploader.offset
uploader.upload(stop_at=int(stop_at) or None)
json.dump({"url": uploader.url, "found": found, "offset": uploader.offset}, sys.stdout)
