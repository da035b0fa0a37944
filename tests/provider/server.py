"""A model server in small: ``python server.py PORT VERSION [FLAGS]``.

It says its version in ``x-model-version`` and in the body, with the path that it was asked for. ``/fail``
answers 500, ``/wait/SECONDS`` after a while; after ``/unready`` it says that it isn't ready. Flags:

--fail          it ends at once
--slow SECONDS  it is not ready before
--lag SECONDS   it takes so long to say that it is ready
--reset         it drops the connection instead of answering a POST
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, VERSION = int(sys.argv[1]), sys.argv[2]


def seconds(flag):
    return float(sys.argv[sys.argv.index(flag) + 1]) if flag in sys.argv else 0.0


SLOW, LAG = seconds("--slow"), seconds("--lag")
START = time.monotonic()
seen = 0
unready = False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        global unready
        unready = unready or self.path == "/unready"
        ready = not unready and time.monotonic() - START >= SLOW
        if self.path == "/v2/health/ready":
            time.sleep(LAG)
            self.answer(200 if ready else 503, {})
        elif self.path == "/seen":
            self.answer(200, {"seen": seen})
        else:
            self.answer(200, {"version": VERSION, "path": self.path})

    def do_POST(self):
        global seen
        seen += 1
        size = len(self.rfile.read(int(self.headers.get("content-length", 0))))
        if "--reset" in sys.argv:
            self.close_connection = True
            return
        if self.path.startswith("/wait/"):
            time.sleep(float(self.path.rpartition("/")[2]))
        status = 500 if self.path == "/fail" else 200
        self.answer(status, {"version": VERSION, "path": self.path, "size": size})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("x-model-version", VERSION)
        if identifier := self.headers.get("x-request-id"):
            self.send_header("x-request-id", identifier)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass


if "--fail" in sys.argv:
    sys.exit("this server can't start")
Handler.disable_nagle_algorithm = True
server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
server.daemon_threads = True
server.serve_forever()
