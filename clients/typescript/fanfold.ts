// A client of Fanfold's HTTP API, on `fetch` alone: for Node, Deno, Bun and browsers.
//
//   const request = await new Fanfold("http://127.0.0.1:8080").submit(document, { key: "desk-7/2026-11-29" });
//   for await (const event of request.events()) console.log(event.type); // resumes by itself
//   console.log(await request.result());                                // or throws Failed, with .why
import type { components } from "./types.js";

type Schemas = components["schemas"];
export type Status = Schemas["Status"];
export type Listed = Schemas["Listed"];
export type Task = Schemas["Task"];
export type TaskInFull = Schemas["TaskInFull"];
export type Problem = Partial<Schemas["Problem"]> & { failure?: Failure; [member: string]: unknown };
interface Attempt { attempt: number; worker: string; code: string; message: string; causes?: string[] }
/** Why a request failed: every failed task, with its attempts. */
export interface Failure { code: string; message: string; tasks?: { task: number; deadLetter?: string; attempts?: Attempt[] }[] }
/** A CloudEvent. */
export interface Event { id: string; type: string; time: string; sequence: string; data: Record<string, unknown> }
export interface Submission { key?: string; headers?: Record<string, string> }
export type Filters = Record<string, string | number>;

/** How long one call waits at the server for a change. A longer wait is several calls. */
const WAIT_SECONDS = 30;
/** The first pause before a repeat where the answer names none; each further one doubles. */
const FIRST_PAUSE = 0.1;
const LONGEST_PAUSE = 5;

/** An error that the API answered. `code` is stable, and `why` says in words what happened. */
export class FanfoldError extends Error {
  readonly requestId?: string;
  readonly failure?: Failure;
  readonly why: string;
  constructor(readonly code: string, readonly detail: string, readonly status = 0, readonly problem: Problem = {}) {
    const told = [detail];
    for (const task of problem.failure?.tasks?.slice(0, 3) ?? []) {
      for (const last of task.attempts?.slice(-1) ?? [])
        told.push([`task ${task.task}`, last.code, last.message, ...(last.causes ?? [])].join(": "));
    }
    const why = told.join("; ");
    super(`${code}: ${why}`);
    this.name = new.target.name;
    this.why = why;
    this.failure = problem.failure;
    this.requestId = problem.requestId ?? undefined;
  }
}
/** There was no connection, or it was lost. What was not a submission may have been done. */
export class Unreachable extends FanfoldError {}
/** The request had not ended in the time that the caller gave it. */
export class NotFinished extends FanfoldError {}
/** The request was cancelled. */
export class Cancelled extends FanfoldError {}
/** The request failed. `why` names the first tasks that did, and their causes. */
export class Failed extends FanfoldError {}

export interface Options {
  key?: string; // sent as a bearer credential
  patience?: number; // how long a call is repeated, in seconds
  timeout?: number; // how long an answer may take beyond what it waits for, or a stream be silent, in seconds
  headers?: Record<string, string>;
}

/** `wait`: how long the API may wait, in seconds. `repeat`: whether a call without an answer may be
 * repeated. `stream`: whether the answer is read while it comes. */
interface Call { body?: string | Uint8Array; headers?: Record<string, string>; wait?: number; repeat?: boolean; stream?: boolean }

export class Fanfold {
  private readonly url: string;

  /** One object serves any number of calls at once. */
  constructor(url = "http://127.0.0.1:8080", readonly options: Options = {}) {
    this.url = url.replace(/\/+$/, "");
    new URL(this.url);
  }

  /** Submits a document. The same key names the same request. Without one, the client makes a key,
   * so that its own repeats are safe. `headers` are metadata, such as `x-desk`. */
  async submit(document: string | Uint8Array, submission: Submission = {}): Promise<Request> {
    const answer = await this.post(document, submission);
    const { requestId } = await json(answer);
    return new Request(this, String(requestId), sequenceOf(answer), answer.headers.get("idempotency-replayed") === "true");
  }

  /** Submits a document and waits for its response. Throws `Failed` where it fails. */
  async value(document: string | Uint8Array, submission: Submission & { timeout?: number } = {}): Promise<string> {
    const until = now() + (submission.timeout ?? Infinity);
    const answer = await this.post(document, submission, Math.min(submission.timeout ?? Infinity, WAIT_SECONDS));
    if (answer.status === 200) return answer.text();
    const { requestId } = await json(answer);
    return new Request(this, String(requestId), sequenceOf(answer)).result({ timeout: until - now() });
  }

  private post(body: string | Uint8Array, { key, headers }: Submission, wait?: number): Promise<Response> {
    const charset = typeof body === "string" ? "; charset=utf-8" : "";
    const own = { "content-type": `application/xml${charset}`, "idempotency-key": key ?? crypto.randomUUID() };
    return this.call("POST", "/valuation", { body, headers: { ...headers, ...own }, wait, repeat: true });
  }

  /** A request by its id, such as one that another process submitted. */
  request = (id: string, sequence?: number) => new Request(this, id, sequence);

  /** What would become of a document: its groups and tasks. Nothing is stored. */
  async check(body: string | Uint8Array): Promise<Record<string, unknown>> {
    const headers = { "content-type": "application/xml" };
    return json(await this.call("POST", "/valuation/check", { body, headers, repeat: true }));
  }

  /** All requests, the newest first, by `status`, `since`, `until`, `label` or `failure`. */
  list(filters: Filters = {}): AsyncGenerator<Listed> {
    return this.pages<Listed>("/valuations", "valuations", "cursor", filters);
  }

  /** The tasks that were given up, the oldest first, by `type`, `code`, `request` or `since`. */
  deadLetters(filters: Filters = {}): AsyncGenerator<Record<string, unknown>> {
    return this.pages("/dead-letters", "deadLetters", "cursor", filters);
  }

  async discard(id: string): Promise<void> {
    await this.call("DELETE", `/dead-letters/${encodeURIComponent(id)}`);
  }

  async redriveDeadLetters(reason: string, filters: Filters = {}): Promise<Record<string, unknown>> {
    return json(await this.send("/dead-letters/redrive", { reason, ...filters }));
  }

  /** @internal */
  send(path: string, body: unknown, repeat = false): Promise<Response> {
    return this.call("POST", path, { body: JSON.stringify(body), headers: { "content-type": "application/json" }, repeat });
  }

  /** @internal */
  async *pages<T>(path: string, items: string, name: string, filters: Filters, headers = {}): AsyncGenerator<T> {
    const query = new URLSearchParams(Object.entries(filters).map(([k, v]) => [k, String(v)]));
    for (;;) {
      const page = await json(await this.call("GET", `${path}?${query}`, { headers, repeat: true }));
      yield* page[items] as T[];
      if (page.next == null) return;
      query.set(name, String(page.next));
    }
  }

  /** Calls, and calls again what may be called again: what never left this machine always; with
   * `repeat` also what has no answer, and an answer that asks for it (503, 429, 412). @internal */
  async call(method: string, path: string, { body, headers, wait, repeat, stream }: Call = {}): Promise<Response> {
    const { key, patience = 60, timeout = 30, headers: all } = this.options;
    const sent = new Headers();
    const own = { ...(key && { authorization: `Bearer ${key}` }), ...(wait != null && { prefer: `wait=${Math.ceil(wait)}` }) };
    // The API reads the values of headers as UTF-8, and `fetch` sends Latin-1.
    for (const [name, value] of Object.entries({ ...all, ...headers, ...own })) sent.set(name, latin1(value));
    const until = now() + patience;
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      let error: FanfoldError;
      let again = pause * (0.5 + Math.random() / 2);
      try {
        const signal = stream ? undefined : AbortSignal.timeout(Math.ceil(1000 * (timeout + (wait ?? 0))));
        const answer = await fetch(this.url + path, { method, body: body as string, headers: sent, signal, redirect: "manual" });
        // The body is read here, so that one that breaks off counts as no answer.
        if (answer.ok || answer.status === 304) return stream ? answer : await whole(answer);
        error = errorOf(answer, await answer.text());
        if (!(repeat && [412, 429, 503].includes(answer.status))) throw error;
        again = retryAfter(answer) ?? again;
      } catch (lost) {
        if (!(lost instanceof TypeError || (lost as Error).name === "TimeoutError")) throw lost;
        const cause = String((lost as Error).cause ?? lost);
        const unsent = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT/.test(codes(lost));
        error = new Unreachable(unsent ? "unreachable" : "connection-lost", `${this.url} gave no answer: ${cause}`);
        if (!unsent && !repeat) throw error;
      }
      if (now() + again > until) throw error;
      await sleep(again);
    }
  }
}

/** One submitted document. What is read is never older than what this object has seen. */
export class Request {
  constructor(private readonly fanfold: Fanfold, readonly id: string, public sequence = 0, readonly replayed = false) {}

  status = async () => (await (await this.get("/status")).json()) as Status;

  /** Waits for the end and gives the response document. Throws `Failed`, `Cancelled`, or after the
   * timeout (in seconds) `NotFinished`. With `partial`, gives at once what the finished groups have. */
  async result({ timeout = Infinity, partial = false } = {}): Promise<string> {
    if (partial) return (await this.get("/results?partial=true")).text();
    const until = now() + timeout;
    for (;;) {
      const began = now();
      const wait = Math.min(WAIT_SECONDS, Math.max(0, until - began));
      try {
        return await (await this.get("/results", wait)).text();
      } catch (error) {
        if (!(error instanceof NotFinished) || now() >= until) throw error;
      }
      // An API that is about to stop lets nobody wait.
      if (now() < began + wait / 2) await sleep(Math.min(1, wait));
    }
  }

  /** Every event of the request up to its end, each once. A stream that breaks off is resumed behind
   * the last event. `after` is an event's `sequence:index`, the end of its `id`. */
  async *events(after?: string): AsyncGenerator<Event> {
    let last = after;
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      const headers = { accept: "text/event-stream", ...(last ? { "last-event-id": last } : this.seen()) };
      const stream = await this.fanfold.call("GET", `${this.path}/events`, { headers, repeat: true, stream: true });
      if (stream.status === 204) return;
      try {
        for await (const { id, data } of eventsOf(stream, this.fanfold.options.timeout ?? 30)) {
          [last, pause] = [id, FIRST_PAUSE];
          this.sequence = Math.max(this.sequence, parseInt(id));
          yield JSON.parse(data) as Event;
        }
      } catch (error) {
        // The next call resumes behind `last`, or says after a while why it cannot.
        if (!(error instanceof TypeError)) throw error;
      }
      await sleep(pause * (0.5 + Math.random() / 2));
    }
  }

  /** The tasks of the groups that have started, by `group` or `status`. */
  tasks(filters: Filters = {}): AsyncGenerator<Task> {
    return this.fanfold.pages<Task>(`${this.path}/tasks`, "tasks", "after", filters, this.seen());
  }

  task = async (group: number, task: number) => (await (await this.get(`/tasks/${group}/${task}`)).json()) as TaskInFull;

  async cancel(reason: string, by?: string): Promise<void> {
    this.saw(await this.fanfold.send(`${this.path}/cancel`, { reason, by }, true));
  }

  /** Runs the failed tasks again, under the same id. A second call may begin a second run. */
  async redrive(reason: string, by?: string): Promise<void> {
    this.saw(await this.fanfold.send(`${this.path}/redrive`, { reason, by }));
  }

  private get path() { return `/valuation/${encodeURIComponent(this.id)}`; }
  private seen = (): Record<string, string> => (this.sequence ? { "fanfold-sequence": String(this.sequence) } : {});

  private async get(path: string, wait?: number): Promise<Response> {
    return this.saw(await this.fanfold.call("GET", this.path + path, { headers: this.seen(), wait, repeat: true }));
  }

  private saw(answer: Response): Response {
    this.sequence = Math.max(this.sequence, sequenceOf(answer));
    return answer;
  }
}

const now = () => performance.now() / 1000;
const sleep = (seconds: number) => new Promise((wake) => setTimeout(wake, 1000 * seconds));
const latin1 = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
const sequenceOf = (answer: Response) => Number(answer.headers.get("fanfold-sequence") ?? 0);
const json = (answer: Response) => answer.json() as Promise<Record<string, unknown>>;
const whole = async (answer: Response) =>
  new Response(answer.status === 204 || answer.status === 304 ? null : await answer.arrayBuffer(), answer);

function codes(error: unknown): string {
  const { code, cause, errors } = error as { code?: string; cause?: unknown; errors?: unknown[] };
  return [code, ...(errors ?? []).map(codes), cause ? codes(cause) : ""].join(" ");
}

function retryAfter(answer: Response): number | undefined {
  const value = answer.headers.get("retry-after") ?? "";
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}

function errorOf({ status }: Response, body: string): FanfoldError {
  let problem: Problem = { detail: body.slice(0, 1000) };
  try {
    problem = JSON.parse(body) as Problem;
  } catch {} // A proxy in between may answer something else.
  const code = problem.code ?? `http-${status}`;
  const kinds: Record<string, typeof FanfoldError> = { "not-ready": NotFinished, cancelled: Cancelled };
  const Kind = problem.failure ? Failed : (kinds[code] ?? FanfoldError);
  return new Kind(code, problem.detail ?? "", status, problem);
}

/** The events of a stream. An event counts once the empty line behind it is there. A stream that is
 * silent for longer than the comments of the API allow is taken for dead. */
async function* eventsOf(stream: Response, silence: number): AsyncGenerator<{ id: string; data: string }> {
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
  let [rest, timer] = ["", undefined as ReturnType<typeof setTimeout> | undefined];
  try {
    for (;;) {
      const dead = new Promise<never>((_, dies) => (timer = setTimeout(() => dies(new TypeError("silent")), 1000 * silence)));
      const { value, done } = await Promise.race([reader.read(), dead]).finally(() => clearTimeout(timer));
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop()!;
      for (const lines of blocks.map((block) => block.split("\n"))) {
        const field = (name: string) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
        if (field("data").length > 0) yield { id: field("id").at(-1) ?? "", data: field("data").join("\n") };
      }
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}
