"""A proxy between a client and the API that notes every call, and breaks those that it is told to."""
import re
import socket
import struct
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Call:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body, self.at = method, path, headers, body, time.monotonic()


class Fault:
    """What happens to the calls that match, as often as `times` says:

    answer: this status, with these headers and body, instead of the API's
    refused: the connection ends before the API has the call
    lost: the API has the call, and the connection ends without its answer
    cut: the connection ends behind this many events of a stream
    """

    def __init__(self, method, path, times=1, *, answer=None, refused=False, lost=False, cut=None):
        self.method, self.path, self.times = method, re.compile(path), times
        self.answer, self.refused, self.lost, self.cut = answer, refused, lost, cut


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Proxy"

    def log_message(self, *_):
        pass

    def do(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.note(Call(self.command, self.path, self.headers, body))
        self.close_connection = True
        if fault and fault.refused:
            return self.break_off()
        if fault and fault.answer:
            status, headers, text = fault.answer
            return self.give(status, headers, text.encode())
        upstream = HTTPConnection(self.server.host, self.server.upstream, timeout=150)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        if (answer.getheader("Content-Type") or "").startswith("text/event-stream"):
            return self.stream(answer, fault.cut if fault else None)
        whole = answer.read()
        if fault and fault.lost:
            return self.break_off()
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "connection", "content-length", "date")}
        self.give(answer.status, kept, whole)

    do_GET = do_POST = do_DELETE = do

    def give(self, status, headers, body):
        self.send_response(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if status in (204, 304) else body)

    def stream(self, answer, cut):
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        events = 0
        for line in answer:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            events += line == b"\n"
            if cut is not None and events == cut:
                # In the middle of the next event: what is not whole must not count.
                self.wfile.write(b"5\r\nid: 9\r\n")
                return self.break_off()
        self.wfile.write(b"0\r\n\r\n")

    def break_off(self):
        self.wfile.flush()
        time.sleep(0.05)  # A reset would overtake what was just written.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.wfile = self.rfile = _Nothing()


class _Nothing:
    closed = True

    def flush(self):
        pass

    def close(self):
        pass


class Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, url, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        at = urlsplit(url)
        self.host, self.upstream = at.hostname, at.port
        self.calls, self.faults, self.lock = [], [], threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def note(self, call):
        with self.lock:
            self.calls.append(call)
            for fault in self.faults:
                if fault.times and fault.method == call.method and fault.path.search(call.path):
                    fault.times -= 1
                    return fault
        return None

    def handle_error(self, request, client_address):
        pass  # A client that goes away in the middle.
