"""Uploads one file with tuspy:

    upload.py '{"endpoint": …, "file": …}'

chunkSize (bytes) sends more than one request. Says how long it took, from the first
request to the last answer, and the CPU time of that.
"""

import json
import sys
import time

from tusclient.client import TusClient

work = json.loads(sys.argv[1])
options = {"chunk_size": work["chunkSize"]} if work.get("chunkSize") else {}
client = TusClient(work["endpoint"])

cpu = time.process_time()
started = time.perf_counter()
client.uploader(work["file"], **options).upload()
done = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
print("done", json.dumps(done), flush=True)
