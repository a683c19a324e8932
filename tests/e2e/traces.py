"""A collector and an executor of traces, on the definitions that OpenTelemetry publishes for Python.

traces.py collect PORT  prints every span that is posted to it as a line of JSON.
traces.py price URL     prices the task on standard input, and posts a span of its own to a collector.
"""
import json
import os
import re
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span


def attributes(of):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of}


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        assert self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
        request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    assert (len(span.trace_id), len(span.span_id)) == (16, 8)
                    assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
                    print(json.dumps({
                        "trace": span.trace_id.hex(), "id": span.span_id.hex(), "parent": span.parent_span_id.hex(),
                        "name": span.name, "kind": Span.SpanKind.Name(span.kind), "error": span.status.message,
                        "attributes": attributes(span.attributes), "service": attributes(resource.resource.attributes),
                    }), flush=True)
        body = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def price(url):
    document, begin = sys.stdin.read(), time.time_ns()
    _, trace, parent, flags = os.environ["TRACEPARENT"].split("-")
    task, attempt = os.environ["FANFOLD_TASK"], os.environ["FANFOLD_ATTEMPT"]
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=bytes.fromhex(trace), span_id=os.urandom(8), parent_span_id=bytes.fromhex(parent), name="price",
        kind=Span.SPAN_KIND_INTERNAL, start_time_unix_nano=begin, end_time_unix_nano=time.time_ns())
    for key, value in {"task": task, "attempt": attempt, "flags": flags, "state": os.environ.get("TRACESTATE", "")}.items():
        span.attributes.add(key=key).value.string_value = value
    headers = {"content-type": "application/x-protobuf"}
    urllib.request.urlopen(urllib.request.Request(f"{url}/v1/traces", request.SerializeToString(), headers)).read()
    if task == "2" and attempt == "1":
        sys.exit(75)
    sys.stdout.write(re.sub("<amount ?/>", f"<amount>{task}.00</amount>", document))


if __name__ == "__main__":
    if sys.argv[1] == "price":
        price(sys.argv[2])
    else:
        ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Collector).serve_forever()
