"""What every client of Fanfold must do: python stories.py URL [LANGUAGE…]

URL is a server with the task types of stories.toml. A client takes part with a driver, which does
what it reads as lines of JSON. Between the client and the server is a proxy that breaks calls.
"""
import json
import socket
import subprocess
import sys
import threading
import time
import traceback
import uuid
from pathlib import Path
from urllib.request import urlopen

from proxy import Fault, Proxy

HERE = Path(__file__).parent
DRIVERS = {
    "python": (HERE / "python", [sys.executable, "driver.py"]),
    "typescript": (HERE / "typescript", ["node", "--import", "tsx", "driver.ts"]),
}
# What makes the types of a language from the OpenAPI document, where they are, and what checks the code against them.
GENERATORS = {
    "python": ([sys.executable, "generate.py"], "fanfold/types.py", [sys.executable, "-m", "compileall", "-q", "fanfold"]),
    "typescript": (["node_modules/.bin/openapi-typescript"], "types.ts", ["node_modules/.bin/tsc", "--noEmit"]),
}


class Refused(Exception):
    """The error that a client gave."""

    def __init__(self, error):
        super().__init__(f"{error['kind']} {error['code']}: {error['why']}")
        self.kind, self.code, self.why = error["kind"], error["code"], error["why"]
        self.status, self.request = error["status"], error["requestId"]


class Client:
    """A client in one of the languages, at the proxy."""

    def __init__(self, language, url, **options):
        folder, command = DRIVERS[language]
        self.language = language
        self.process = subprocess.Popen([*command, url, json.dumps(options)], cwd=folder, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __getattr__(self, call):
        def does(**args):
            self.process.stdin.write(json.dumps({"call": call, **args}) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline() or '{"error": null}')
            if answer.get("error", 0) != 0:
                raise Refused(answer["error"])
            return answer["gives"]
        return does

    def fails(self, call, **args):
        try:
            got = getattr(self, call)(**args)
        except Refused as refused:
            return refused
        raise AssertionError(f"{call} gave {got}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def document(*names, groups=1):
    valuations = "".join(
        f'<valuation name="{name}"><market><rate>0.03</rate></market><instrument><bond><principal>100</principal>'
        f"<coupon><rate>0.05</rate><frequency>2</frequency></coupon><term>3</term></bond></instrument>"
        f"<analytics><price><amount/></price></analytics></valuation>" for name in names)
    return f'<vnml><project>{f"<group>{valuations}</group>" * groups}</project></vnml>'


STORIES = []


def story(function):
    STORIES.append(function)
    return function


def unavailable(**headers):
    return (503, {"Content-Type": "application/problem+json", **headers}, '{"code": "overloaded", "detail": "busy"}')


@story
def a_document_is_valued(c, proxy):
    assert "<amount>105.70</amount>" in c.value(document=document("bond"))
    assert c.check(document=document("bond"))["groups"][0]["tasks"] == 1


@story
def a_submission_is_followed_to_its_result(c, proxy):
    request = c.submit(document=document("bond"), headers={"x-desk": "Zürich ≠ Genève"})
    assert "105.70" in c.result(id=request["id"])
    status = c.status(id=request["id"], sequence=request["sequence"])
    assert (status["status"], status["metadata"]) == ("succeeded", {"x-desk": "Zürich ≠ Genève"}), status
    assert "incomplete" not in c.result(id=request["id"], partial=True)


@story
def the_same_key_is_the_same_request_and_another_document_is_refused(c, proxy):
    key = str(uuid.uuid4())
    first, again = (c.submit(document=document("bond"), key=key) for _ in range(2))
    assert first["id"] == again["id"] and (first["replayed"], again["replayed"]) == (False, True)
    refused = c.fails("submit", document=document("loan"), key=key)
    assert (refused.kind, refused.code, refused.status) == ("FanfoldError", "idempotency-key-reused", 422), refused
    assert len(proxy.calls) == 3


@story
def a_submission_whose_answer_is_lost_is_repeated_with_the_same_key(c, proxy):
    proxy.faults = [Fault("POST", "^/valuation$", lost=True), Fault("POST", "^/valuation$", refused=True)]
    request = c.submit(document=document("bond"))
    keys = [call.headers["Idempotency-Key"] for call in proxy.calls]
    assert len(keys) == 3 and len(set(keys)) == 1 and len(keys[0]) >= 32, keys
    assert request["replayed"]
    assert c.submit(document=document("bond"))["id"] != request["id"]


@story
def an_answer_that_asks_for_patience_gets_it(c, proxy):
    proxy.faults = [Fault("POST", "^/valuation$", answer=unavailable(**{"Retry-After": "1"})),
                    Fault("POST", "^/valuation$", answer=unavailable())]
    c.submit(document=document("bond"))
    first, second, third = (call.at for call in proxy.calls)
    assert 0.95 < second - first < 3 and third - second < 0.9, (second - first, third - second)


@story
def a_longer_wait_than_the_caller_has_is_an_error_at_once(c, proxy):
    for after in ("3600", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 7200))):
        proxy.faults = [Fault("GET", "/status", answer=unavailable(**{"Retry-After": after}))]
        began = time.monotonic()
        refused = c.fails("status", id=str(uuid.uuid4()))
        assert (refused.code, refused.why, refused.status) == ("overloaded", "busy", 503)
        assert time.monotonic() - began < 1 and len(proxy.calls) == 1
        proxy.calls.clear()


@story
def what_cannot_help_is_not_repeated(c, proxy):
    refused = c.fails("submit", document="<vnml><project></vnml>")
    assert refused.code == "malformed-xml" and refused.status == 400 and "line 1" in refused.why, refused
    refused = c.fails("submit", document=document("bond") + " " * 10_485_760)
    assert (refused.code, refused.status) == ("payload-too-large", 413), refused
    refused = c.fails("status", id=str(uuid.uuid4()))
    assert refused.code == "unknown-request" and refused.request, refused
    proxy.faults = [Fault("POST", "^/valuation$", answer=(507, {}, '{"code": "storage-full", "detail": "full"}')),
                    Fault("POST", "^/valuation$", answer=(502, {}, "<html>bad gateway</html>")),
                    Fault("POST", "^/valuation$", answer=(302, {"Location": "/elsewhere"}, ""))]
    assert c.fails("submit", document=document("bond")).code == "storage-full"
    refused = c.fails("submit", document=document("bond"))
    assert refused.code == "http-502" and "bad gateway" in refused.why, refused
    assert c.fails("submit", document=document("bond")).code == "http-302"
    assert len(proxy.calls) == 6, len(proxy.calls)


@story
def a_redrive_whose_answer_is_lost_is_not_repeated_and_a_cancellation_is(c, proxy):
    id = c.fails("value", document=document("second")).request
    proxy.faults = [Fault("POST", "/redrive", answer=unavailable()), Fault("POST", "/redrive", lost=True)]
    assert c.fails("redrive", id=id, reason="test").code == "overloaded"
    refused = c.fails("redrive", id=id, reason="test")
    assert (refused.kind, refused.code) == ("Unreachable", "connection-lost"), refused
    assert len([call for call in proxy.calls if "redrive" in call.path]) == 2
    assert "8.00" in c.result(id=id)
    id = c.submit(document=document("stuck"))["id"]
    proxy.faults = [Fault("POST", "/cancel", lost=True)]
    c.cancel(id=id, reason="test")
    assert c.fails("result", id=id).kind == "Cancelled"


@story
def a_call_that_never_left_is_repeated_whatever_it_is(c, proxy):
    id = c.fails("value", document=document("second")).request
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    early, late = Client(c.language, f"http://127.0.0.1:{port}", patience=0.5), Client(c.language, f"http://127.0.0.1:{port}")
    try:
        refused = early.fails("redrive", id=id, reason="too early")
        assert (refused.kind, refused.code) == ("Unreachable", "unreachable"), refused
        opens = threading.Timer(1.0, lambda: Proxy(f"http://{proxy.host}:{proxy.upstream}", port))
        opens.start()
        late.redrive(id=id, reason="in time")
        opens.join()
    finally:
        early.close()
        late.close()
    assert "8.00" in c.result(id=id)


@story
def what_is_read_is_not_older_than_what_was_written(c, proxy):
    request = c.submit(document=document("bond"))
    proxy.faults = [Fault("GET", "/status", answer=(412, {}, '{"code": "sequence-not-reached", "detail": "behind"}'))]
    assert c.status(**request)["sequence"] >= request["sequence"]
    sent = [call.headers["Fanfold-Sequence"] for call in proxy.calls if call.method == "GET"]
    assert sent == [str(request["sequence"])] * 2, sent


@story
def waiting_is_one_call_at_a_time(c, proxy):
    assert "7.00" in c.value(document=document("slow"))
    id = c.submit(document=document("slow"))["id"]
    assert "7.00" in c.result(id=id)
    waits = [call.headers["Prefer"] for call in proxy.calls]
    assert waits == ["wait=30", None, "wait=30"], waits


@story
def a_result_that_does_not_come_in_time_is_said_so(c, proxy):
    id = c.submit(document=document("stuck"))["id"]
    began = time.monotonic()
    refused = c.fails("result", id=id, timeout=1)
    assert (refused.kind, refused.request) == ("NotFinished", id), refused
    assert 0.9 < time.monotonic() - began < 5
    assert c.fails("value", document=document("stuck"), timeout=1).kind == "NotFinished"
    c.cancel(id=id, reason="test")
    assert c.fails("result", id=id).kind == "Cancelled"


@story
def a_failure_says_why_and_a_redrive_mends_it(c, proxy):
    refused = c.fails("value", document=document("bond", "second"))
    assert (refused.kind, refused.code) == ("Failed", "tasks-failed"), refused
    for part in ("1 of 2 tasks of group 0 failed", "task 2", "exit-65", "no curve yet"):
        assert part in refused.why, refused.why
    id = refused.request
    again = c.fails("result", id=id)
    assert (again.kind, again.why) == (refused.kind, refused.why)
    letters = c.dead_letters(filters={"request": id})
    assert [letter["code"] for letter in letters] == ["exit-65"], letters
    c.discard(id=letters[0]["id"])
    assert c.dead_letters(filters={"request": id}) == []
    c.redrive(id=id, reason="the curve is there")
    assert "8.00" in c.result(id=id)
    posts = [call for call in proxy.calls if call.path.endswith("/redrive")]
    assert posts[0].headers["Content-Type"] == "application/json"


def kinds(events):
    return [event["type"].split(".")[-2] for event in events]


@story
def events_come_once_each_though_the_stream_breaks(c, proxy):
    id = c.submit(document=document("bond", "slow", "slow"))["id"]
    proxy.faults = [Fault("GET", "/events", answer=unavailable()), Fault("GET", "/events", cut=0),
                    Fault("GET", "/events", cut=2), Fault("GET", "/events", cut=1), Fault("GET", "/events", refused=True)]
    events = c.events(id=id)
    told = kinds(events)
    assert told[:2] == ["received", "group-started"] and told[-1] == "succeeded", told
    assert told.count("task-succeeded") == 3 and len({event["id"] for event in events}) == len(events) == 7
    at = events[2]["id"].split(":", 1)[1]
    assert c.events(id=id, after=at) == events[3:]
    assert c.events(id=id, take=2) == events[:2]


@story
def long_lists_are_read_whole(c, proxy):
    label = uuid.uuid4().hex
    requests = [c.submit(document=document("bond", "bond", "bond"), headers={"x-desk": label}) for _ in range(3)]
    ids = {request["id"] for request in requests}
    for request in requests:
        c.result(id=request["id"])
    assert len(c.tasks(id=requests[0]["id"], sequence=requests[0]["sequence"], filters={"limit": 2})) == 3
    deadline = time.monotonic() + 10
    while {listed["requestId"] for listed in c.list(filters={"label": f"x-desk:{label}", "limit": 2})} != ids:
        assert time.monotonic() < deadline, "the list does not have the requests"


@story
def a_key_goes_along_and_a_refused_one_is_an_error(c, proxy):
    known = Client(c.language, proxy.url, key="ff_id_secret", headers={"x-desk": "rates"})
    try:
        known.submit(document=document("bond"))
        proxy.faults = [Fault("GET", "/status", answer=(401, {}, '{"code": "unauthenticated", "detail": "no such key"}'))]
        assert known.fails("status", id=str(uuid.uuid4())).code == "unauthenticated"
    finally:
        known.close()
    assert [call.headers["Authorization"] for call in proxy.calls] == ["Bearer ff_id_secret"] * 2
    assert proxy.calls[0].headers["x-desk"] == "rates"
    assert proxy.calls[0].headers["Content-Type"] == "application/xml; charset=utf-8"


@story
def the_types_are_those_of_the_document_and_the_code_agrees_with_them(c, proxy):
    command, types, check = GENERATORS[c.language]
    with urlopen(f"{proxy.url}/openapi.json") as document:
        made = subprocess.run(command, cwd=HERE / c.language, input=document.read(), stderr=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, check=True).stdout.decode()
    assert made == (HERE / c.language / types).read_text(), "they are of another version: run clients/generate.sh URL"
    checked = subprocess.run(check, cwd=HERE / c.language, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def main(url, *languages):
    failed = 0
    for language in languages or DRIVERS:
        proxy = Proxy(url)
        client = Client(language, proxy.url)
        for told in STORIES:
            proxy.calls, proxy.faults, began = [], [], time.monotonic()
            try:
                told(client, proxy)
                said = "ok"
            except Exception:
                said, failed = "FAILED", failed + 1
                traceback.print_exc()
            name = told.__name__.replace("_", " ")
            print(f"{said:6} {language}: {name} ({time.monotonic() - began:.1f} s)", flush=True)
        client.close()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
