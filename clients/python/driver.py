"""Does what clients/stories.py says, one line of JSON for each call, and answers with another."""
import json
import sys
from itertools import islice

from fanfold import Fanfold, FanfoldError

fanfold = Fanfold(sys.argv[1], **json.loads(sys.argv[2] if len(sys.argv) > 2 else "{}"))


def at(a):
    return fanfold.request(a["id"], a.get("sequence"))


def only(a, *names):
    return {name: a[name] for name in names if name in a}


def submit(a):
    request = fanfold.submit(a["document"], **only(a, "key", "headers"))
    return {"id": request.id, "sequence": request.sequence, "replayed": request.replayed}


CALLS = {
    "submit": submit,
    "value": lambda a: fanfold.value(a["document"], **only(a, "key", "headers", "timeout")),
    "status": lambda a: at(a).status(),
    "result": lambda a: at(a).result(**only(a, "timeout", "partial")),
    "events": lambda a: list(islice(at(a).events(a.get("after")), a.get("take"))),
    "tasks": lambda a: list(at(a).tasks(**a.get("filters", {}))),
    "cancel": lambda a: at(a).cancel(a["reason"]),
    "redrive": lambda a: at(a).redrive(a["reason"]),
    "check": lambda a: fanfold.check(a["document"]),
    "list": lambda a: list(islice(fanfold.list(**a.get("filters", {})), a.get("take"))),
    "dead_letters": lambda a: list(fanfold.dead_letters(**a.get("filters", {}))),
    "discard": lambda a: fanfold.discard(a["id"]),
}

for line in sys.stdin:
    a = json.loads(line)
    try:
        answer = {"gives": CALLS[a["call"]](a)}
    except FanfoldError as error:
        answer = {"error": {"kind": type(error).__name__, "code": error.code, "why": error.why,
                            "status": error.status, "requestId": error.request_id}}
    print(json.dumps(answer), flush=True)
