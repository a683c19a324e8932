// What a worker is given, and how its work may end.
export interface Task {
  readonly document: string; // the result is it, with the results of its valuation filled in
  readonly type: string;
  readonly request: string;
  readonly group: number; // from 0
  readonly task: number; // from 1
  readonly run: number; // of the request, from 0; each redrive begins another one
  readonly attempt: number; // from 1; there may be holes
  readonly traceparent?: string; // of this attempt, or of the submission; pass it on to what the task calls
  readonly tracestate?: string; // the submission's; pass it on too
  readonly signal: AbortSignal; // aborted at the time limit, and when nobody wants the result any more
}

interface Fault { code: string; message: string; causes: string[] }
/** The attempt failed, and another one may help: after so many seconds, or by the policy. */
export class Again extends Error {
  readonly never: boolean = false;
  readonly fault: Fault;
  readonly after?: number;
  constructor(message: string, { code = "again", after, causes = [] }: { code?: string; after?: number; causes?: string[] } = {}) {
    super(message);
    this.fault = { code, message, causes };
    this.after = after;
  }
}
/** The attempt failed, and another one would fail in the same way. */
export class Never extends Again {
  override readonly never = true;
  constructor(message: string, options: { code?: string; causes?: string[] } = {}) {
    super(message, { code: "never", ...options });
  }
}

/** The request of a task has ended, so nobody wants its result. */
export class Stopped extends Error {}
/** The broker may have given the task to another worker, so its message is not ours to answer. */
export class Lost extends Error {}
/** The worker ends, and this was no attempt. */
export class GivenBack extends Error {}
