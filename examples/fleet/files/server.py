"""The service: says who it is, and on /health whether it is well.

The arguments are its address, its version, its greeting, and what is wrong with
it, for trying what a roll-out does then: "none", "never-healthy", or "later",
which is healthy at first and not for long.
"""

import http.server
import json
import sys
import time

address, version, greeting, fault = sys.argv[1:5]
began = time.monotonic()
WELL_FOR = 2  # seconds, with "later"


def well():
    if fault == "later":
        return time.monotonic() - began < WELL_FOR
    return fault != "never-healthy"


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        good = well()
        if self.path == "/health":
            body = {"healthy": good}
        else:
            body = {"greeting": greeting, "version": version, "instance": address}
        text = (json.dumps(body) + "\n").encode()
        self.send_response(200 if good else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


Server((address, 8080), Service).serve_forever()
