// One attempt: work, report, answer the message. In this order a crash between two steps only repeats work.
import type { Msg } from "@nats-io/transport-node";
import { hash, now, patiently, type Broker, type Json, type Stored } from "./broker.js";
import { Lease } from "./lease.js";
import { Again, GivenBack, Lost, Stopped } from "./outcome.js";
import type { Worker } from "./pool.js";

/** Seconds; a longer delay is the orchestrator's to keep, not the queue's. */
const LONG_DELAY = 30;

export class Attempt {
  readonly request: string;
  readonly run: number;
  private readonly type: string;
  private readonly path: string;
  private readonly partition: string;
  private readonly of: { group: number; task: number };
  private readonly attempt: number;
  private readonly made: number; // an upper bound of the attempts that the policy counts
  private readonly letterId: string;
  private readonly letterSubject: string;
  private readonly logSubject: string;
  private readonly stored?: Stored;
  private readonly ended = new AbortController();
  private readonly lease: Lease;
  private began = now();
  private startedAt = new Date().toISOString();
  private document = "";

  constructor(private readonly worker: Worker, private readonly message: Msg) {
    const [, type, partition, request, group, task] = message.subject.split(".") as [string, string, string, string, string, string];
    const header = (name: string) => message.headers?.get(name) || undefined;
    [this.type, this.partition, this.request, this.of] = [type, partition, request, { group: Number(group), task: Number(task) }];
    this.run = Number(header("Fanfold-Run") ?? 0);
    const delivered = Number(message.reply!.split(".").at(message.reply!.split(".").length > 9 ? 6 : 4));
    this.attempt = Number(header("Fanfold-Attempts-Before") ?? 0) + delivered;
    this.made = this.attempt - Number(header("Fanfold-Earlier-Attempts") ?? 0);
    this.lease = new Lease(worker.nc, message, worker.lease);
    this.path = `${request}.${group}.${task}`;
    this.letterId = `${this.path}.${this.run}`;
    this.letterSubject = `dead-letters.${type}.${this.letterId}`;
    this.logSubject = `requests.${partition}.${request}`;
    const [sha256, size] = header("Fanfold-Stored")?.split(":") ?? [];
    if (sha256) this.stored = { sha256, size: Number(size) };
  }

  /** Ends the work: nobody wants it, or this worker ends. */
  end(why: Stopped | GivenBack): void {
    this.ended.abort(why);
  }

  async settle(): Promise<void> {
    let answer: string | undefined;
    try {
      answer = await Promise.race([this.attemptIt(), this.cutShort()]);
    } catch (error) {
      if (error instanceof Lost) return;
      const known = error instanceof Stopped ? "+TERM" : error instanceof GivenBack ? "-NAK" : undefined;
      if (!known) console.error(`${this.message.subject} was not reported, and comes again:`, error);
      answer = known ?? '-NAK {"delay": 1000000000}';
    } finally {
      this.lease.end();
    }
    // The broker cannot tell this answer from that of another worker, which may have the task.
    if (!this.lease.isHeld() || this.worker.disconnected) return;
    try {
      this.message.respond(answer);
      await this.worker.nc.flush();
    } catch {} // The task comes again.
  }

  private cutShort(): Promise<never> {
    const { signal } = this.ended;
    return new Promise((_, cuts) =>
      signal.addEventListener("abort", () => signal.reason instanceof GivenBack && cuts(signal.reason)));
  }

  private async attemptIt(): Promise<string> {
    try {
      if (this.made > 1) {
        const letter = await this.patiently((broker) => broker.findLetter(this.letterSubject, this.logSubject));
        if (letter) return await this.givenUp(letter.content); // A worker gave the task up, and died before its report.
      }
      this.document = this.stored ? await this.patiently((broker) => broker.fetch(this.stored!)) : this.message.string();
      const result = Buffer.from(await this.doWork());
      await this.report({ succeeded: await this.patiently((broker) => broker.place(result)) });
      return "+ACK";
    } catch (error) {
      if (error instanceof Again) return await this.fail(error);
      throw error;
    }
  }

  private async doWork(): Promise<string> {
    const { timeLimit } = this.worker.options;
    const late = new Again(`the attempt did not end within ${timeLimit} s`, { code: "task-timed-out" });
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(late), 1000 * timeLimit);
    const signal = AbortSignal.any([limit.signal, this.ended.signal]);
    [this.began, this.startedAt] = [now(), new Date().toISOString()];
    const traceparent = this.message.headers?.get("traceparent") || undefined;
    const { document, type, request, run, attempt } = this;
    try {
      signal.throwIfAborted();
      const broken = new Promise<never>((_, breaks) => signal.addEventListener("abort", () => breaks(signal.reason)));
      return await Promise.race([this.worker.work({ document, type, request, ...this.of, run, attempt, traceparent, signal }), broken]);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof Again) throw error;
      throw new Again(String(error), { code: "worker-failed", causes: [String((error as Error).stack).slice(-4096)] });
    } finally {
      clearTimeout(timer);
    }
  }

  private async fail(fault: Again): Promise<string> {
    const { attempts, retryDelay } = this.worker.options;
    const givesUp = fault.never || this.made >= attempts;
    if (!this.lease.isHeld() || (givesUp && !(await this.lease.confirm()))) {
      // Another worker may have the task, and its attempt counts: this one is only recorded.
      await this.report({ failed: { fault: fault.fault, next: { "retry-at": new Date().toISOString() } } });
      throw new Lost();
    }
    if (givesUp) return this.giveUp(fault);
    const delay = fault.after ?? retryDelay(this.made);
    const at = new Date(Date.now() + 1000 * delay).toISOString();
    await this.report({ failed: { fault: fault.fault, next: { [delay > LONG_DELAY ? "dispatch-at" : "retry-at"]: at } } });
    return delay > LONG_DELAY ? "+ACK" : `-NAK {"delay": ${Math.round(delay * 1e9)}}`;
  }

  private async giveUp(fault: Again): Promise<string> {
    const last = { attempt: this.attempt, worker: this.worker.options.name, startedAt: this.startedAt, durationMs: this.took(), ...fault.fault };
    const letter = {
      task: { request: this.request, ...this.of }, run: this.run, taskType: this.type, attempts: [last], sequence: null,
      document: this.stored ? { stored: this.stored } : { inline: this.document }, exhausted: !fault.never,
    };
    return this.givenUp(await this.patiently((broker) => broker.keep(this.letterSubject, this.logSubject, letter, this.document)));
  }

  /** Reports what a letter says, whichever worker wrote it. */
  private async givenUp(letter: Json): Promise<string> {
    const { attempt, worker, startedAt, durationMs, code, message, causes = [] } = letter.attempts.at(-1);
    const verdict = { failed: { fault: { code, message, causes }, next: { "dead-letter": this.letterId } } };
    await this.report(verdict, { attempt, worker, startedAt, durationMs, exhausted: letter.exhausted ?? false });
    return "+TERM";
  }

  private async report(verdict: Json, further: Json = {}): Promise<void> {
    const sha256 = this.stored?.sha256 ?? hash(this.message.data);
    const outcome = {
      ...this.of, run: this.run, attempt: this.attempt, worker: this.worker.options.name, startedAt: this.startedAt,
      durationMs: this.took(), given: { taskType: this.type, sha256 }, verdict, ...further,
    };
    const again = this.message.headers?.get("Fanfold-Again");
    const headers: Record<string, string> = again ? { "Fanfold-Again": again } : {};
    await this.patiently((broker) => broker.api(`reports.${this.partition}.${this.path}`, { outcome }, headers));
  }

  private patiently = <T>(step: (broker: Broker) => Promise<T>) => patiently(() => this.connected(step), () => this.lease.isHeld());
  private async connected<T>(step: (broker: Broker) => Promise<T>): Promise<T> {
    // The client would send it later, when another worker may have the task.
    if (this.worker.disconnected) throw new Error("there is no connection to the broker");
    return step(this.worker.broker);
  }

  private took = () => Math.round(1000 * (now() - this.began));
}
