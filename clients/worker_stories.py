"""What every worker of Fanfold must do: python worker_stories.py URL NATS_URL [LANGUAGE…]

At URL is the API of a deployment without workers, with TASK_LEASE_MS=2000, whose orchestrator
knows a collector of traces. A language takes part with
an example worker, which does what the name of a valuation says. Its connection to NATS can be cut.
"""
import asyncio
import signal
import subprocess
import sys
import threading
import time
import traceback
import uuid
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "python"))
from fanfold import Failed, Fanfold  # noqa: E402

WORKERS = {
    "python": (HERE / "python", [sys.executable, "example_worker.py"]),
    "typescript": (HERE / "typescript", ["node", "--import", "tsx", "example_worker.ts"]),
}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Cable:
    """A TCP connection to NATS that can be cut. `after` cuts it once, behind a message of the worker
    that begins so; what the broker answers to it is lost."""

    def __init__(self, nats):
        at = urlsplit(nats)
        self.host, self.port, self.plugged, self.writers = at.hostname, at.port, True, set()
        self.after, self.deaf = None, False
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self.serve, "127.0.0.1", 0), self.loop).result()
        login = at.netloc.rpartition("@")[0]
        self.url = f"nats://{login + '@' if login else ''}127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def serve(self, reader, writer):
        if not self.plugged:
            return writer.transport.abort()
        there, back = await asyncio.open_connection(self.host, self.port)
        self.writers |= {writer, back}
        await asyncio.gather(self.pipe(reader, back, True), self.pipe(there, writer, False), return_exceptions=True)

    async def pipe(self, reader, writer, of_worker):
        while data := await reader.read(65536):
            hit = of_worker and self.after and self.after in data
            if hit:
                self.after, self.deaf = None, True
            if of_worker or not self.deaf:
                writer.write(data)
            await writer.drain()
            if hit:
                await asyncio.sleep(0.05)
                self._cut()
        writer.close()

    def _cut(self):
        for writer in self.writers:
            writer.transport.abort()
        self.writers, self.deaf = set(), False

    def cut(self, seconds):
        self.plugged = False
        self.loop.call_soon_threadsafe(self._cut)
        time.sleep(seconds)
        self.plugged = True


# The requests of earlier stories. A worker that was killed at the end of its story may not have answered a
# task, which then comes again to the worker of a later one.
PAST = set()


class Worker:
    def __init__(self, language, nats, slots=8):
        folder, command = WORKERS[language]
        self.process = subprocess.Popen([*command, nats, str(slots)], cwd=folder, text=True, stdout=subprocess.PIPE)
        self.ran = []  # (task, attempt, request)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("runs "):
                task, attempt, request = line.split()[1:]
                if request not in PAST:
                    self.ran.append((int(task), int(attempt), request))

    def until_ran(self, count):
        until(lambda: len(self.ran) >= count, f"a worker that ran {count} tasks")

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(20)


def until(is_so, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


def document(*names, pad=""):
    valuations = "".join(f'<valuation name="{name}"><pad>{pad}</pad><analytics><price><amount/></price></analytics></valuation>' for name in names)
    return f"<vnml><project><group>{valuations}</group></project></vnml>"


STORIES = []


def story(function):
    STORIES.append(function)
    return function


class Stage:
    """The deployment, and the workers that a story starts."""

    def __init__(self, api, nats, language):
        self.fanfold, self.nats, self.language, self.workers = Fanfold(api), nats, language, []

    def worker(self, slots=8, nats=None):
        self.workers.append(Worker(self.language, nats or self.nats, slots))
        return self.workers[-1]

    def attempts(self, request):
        return [(task["task"], *(attempt["fault"] and attempt["fault"]["code"] for attempt in task["attempts"]))
                for task in request.tasks()]

    def close(self):
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()
            PAST.update(request for _, _, request in worker.ran)


@story
def tasks_are_priced_and_large_documents_and_results_go_through_the_store(s):
    s.worker()
    result = s.fanfold.value(document("plain", "big", "plain"), timeout=60)
    assert all(f"<amount>{n}.00</amount>" in result for n in (1, 2, 3)) and result.count("large") == 10_000
    assert "2.00" in s.fanfold.value(document("big", "big", pad="ä" * 70_000), timeout=60)


@story
def each_attempt_has_a_position_of_its_own_in_the_trace_of_the_submission(s):
    s.worker()
    request = s.fanfold.submit(document("trace", "trace-2"), headers={"traceparent": TRACE})
    result, trace = request.result(60), TRACE.split("-")[1]
    for name in ("g0/t1/a1", "g0/t2/a3"):
        span = uuid.uuid5(uuid.UUID(request.id), name).bytes[8:].hex()
        assert f"<amount>00-{trace}-{span}-01<" in result, (name, result)


@story
def a_failed_attempt_is_recorded_and_tried_again(s):
    s.worker()
    request = s.fanfold.submit(document("again-2", "plain"))
    assert "1.00" in request.result(60)
    assert s.attempts(request) == [(1, "no-curve", "no-curve", None), (2, None)], s.attempts(request)


@story
def a_task_that_fails_for_good_leaves_a_dead_letter(s):
    s.worker()
    for name, code, made, cause in (("never", "wrong-curve", 1, "EUR-6M"), ("again-9", "no-curve", 3, "curve"),
                                    ("bug", "worker-failed", 3, "by zero")):
        request = s.fanfold.submit(document("plain", name, pad="x" * 70_000))
        try:
            raise AssertionError(request.result(60))
        except Failed as failed:
            assert cause in failed.why, failed.why
            tasks = failed.failure["tasks"]
        assert s.attempts(request) == [(1, None), (2, *[code] * made)], s.attempts(request)
        letters = list(s.fanfold.dead_letters(request=request.id))
        assert [(letter["id"], letter["code"]) for letter in letters] == [(tasks[0]["deadLetter"], code)], letters
        until(lambda: next(s.fanfold.dead_letters(request=request.id))["attempts"] == made, "the whole history")
    # Each run has attempts of its own.
    request = s.fanfold.submit(document("again-4"))
    try:
        raise AssertionError(request.result(60))
    except Failed:
        request.redrive("the curve is there")
    assert "1.00" in request.result(60)
    assert s.attempts(request) == [(1, *["no-curve"] * 4, None)], s.attempts(request)


@story
def a_task_longer_than_the_lease_runs_once(s):
    first, second = s.worker(), s.worker()
    request = s.fanfold.submit(document("sleep-3"))
    assert "1.00" in request.result(60)
    assert s.attempts(request) == [(1, None)] and len(first.ran + second.ran) == 1


@story
def a_worker_takes_no_more_than_it_has_room_for(s):
    first, second = s.worker(slots=2), s.worker(slots=2)
    for worker in (first, second):  # Until both have asked for work.
        until(lambda: s.fanfold.value(document("plain"), timeout=60) and worker.ran, "a task for each worker")
        worker.ran.clear()
    first.ran.clear()
    request = s.fanfold.submit(document(*["sleep-1"] * 8))
    request.result(60)
    assert len(first.ran) == len(second.ran) == 4, (first.ran, second.ran)


@story
def a_killed_worker_loses_nothing(s):
    first = s.worker(slots=4)
    request = s.fanfold.submit(document(*["sleep-0.3"] * 12))
    first.until_ran(6)
    first.end(signal.SIGKILL)
    s.worker()
    result = request.result(60)
    assert all(f"<amount>{n}.00</amount>" in result for n in range(1, 13))


@story
def a_worker_that_is_asked_to_end_finishes_or_gives_back(s):
    first = s.worker(slots=3)
    request = s.fanfold.submit(document("sleep-1", "sleep-4", "sleep-1", *["sleep-0.1"] * 6))
    first.until_ran(3)
    began = time.monotonic()
    second = s.worker(slots=8)
    assert first.end() == 0
    assert 1.5 < time.monotonic() - began < 6, "it waits for its grace, and no longer"
    gave_back = time.monotonic()
    until(lambda: any(task == 2 for task, *_ in second.ran), "the task that was given back")
    assert time.monotonic() - gave_back < 1.5, "another worker has it at once, not after its lease"
    request.result(60)
    assert s.attempts(request) == [(n, None) for n in range(1, 10)], s.attempts(request)
    assert [task for task, *_ in first.ran] == [1, 2, 3]


@story
def a_task_that_nobody_wants_is_stopped(s):
    worker = s.worker(slots=1)
    request = s.fanfold.submit(document("sleep-100"))
    worker.until_ran(1)
    request.cancel("a test")
    began = time.monotonic()
    assert "1.00" in s.fanfold.value(document("plain"), timeout=30)
    assert time.monotonic() - began < 10 and len(worker.ran) == 2


@story
def a_lost_connection_costs_nothing_that_the_lease_covers(s):
    cable = Cable(s.nats)
    worker = s.worker(nats=cable.url)
    request = s.fanfold.submit(document("sleep-1.5", "plain"))
    worker.until_ran(2)
    cable.cut(0.5)
    assert "1.00" in request.result(60)
    assert s.attempts(request) == [(1, None), (2, None)] and len(worker.ran) == 2, worker.ran
    # A connection that is away for longer than the lease: the task runs again, and counts once.
    request = s.fanfold.submit(document("sleep-1"))
    worker.until_ran(3)
    cable.cut(3)
    assert "1.00" in request.result(60)
    assert "2.00" in s.fanfold.value(document("plain", "plain"), timeout=60)


@story
def a_report_whose_ack_is_lost_is_repeated_and_the_work_is_not(s):
    cable = Cable(s.nats)
    worker = s.worker(nats=cable.url)
    for subject, name in ((b"PUB reports.", "plain"), (b"PUB dead-letters.", "never")):
        cable.after = subject
        request = s.fanfold.submit(document(name))
        until(lambda: request.status()["status"] in ("succeeded", "failed"), "an end", 60)
        assert "plain" in s.fanfold.value(document("plain"), timeout=60)  # After its connection is back.
        ran = [task for task, _, of in worker.ran if of == request.id]
        assert cable.after is None and ran == [1] and len(s.attempts(request)[0]) == 2, (ran, s.attempts(request))


@story
def a_worker_that_died_after_its_dead_letter_is_reported_by_another(s):
    cable = Cable(s.nats)
    first = s.worker(nats=cable.url)
    cable.after = b"PUB dead-letters."
    request = s.fanfold.submit(document("never"))
    until(lambda: cable.after is None, "a dead letter")
    first.end(signal.SIGKILL)
    second = s.worker()
    until(lambda: request.status()["status"] == "failed", "an end")
    assert s.attempts(request) == [(1, "wrong-curve")] and not second.ran, (s.attempts(request), second.ran)
    [task] = request.tasks()
    assert task["attempts"][0]["worker"].endswith(str(first.process.pid)), task


def main(api, nats, *languages):
    failed = 0
    for language in languages or WORKERS:
        for told in STORIES:
            stage, began = Stage(api, nats, language), time.monotonic()
            try:
                told(stage)
                said = "ok"
            except Exception:
                said, failed = "FAILED", failed + 1
                traceback.print_exc()
            stage.close()
            print(f"{said:6} {language}: {told.__name__.replace('_', ' ')} ({time.monotonic() - began:.1f} s)", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
