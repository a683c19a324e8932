// The tasks that a worker runs at once, and how it begins and ends.
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { init as initZstd } from "@bokuweb/zstd-wasm";
import { connect, createInbox, type ConnectionOptions, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { Attempt } from "./attempt.js";
import { Broker, now, patiently } from "./broker.js";
import { GivenBack, Stopped, type Task } from "./outcome.js";

export interface Options {
  type?: string;
  url?: string; // or several, separated by commas
  slots?: number; // tasks at once
  attempts?: number; // of a task, as the server has it for the type
  retryDelay?: (made: number) => number; // seconds
  timeLimit?: number; // seconds, of an attempt
  grace?: number; // seconds, for what runs when the worker is asked to end
  name?: string;
  lease?: number; // TASK_LEASE_MS in seconds; a worker that may not ask the broker for it must be told
  connect?: ConnectionOptions; // such as credentials
}

const PULL_EXPIRY = 20; // seconds that one pull waits at the broker
const HEARTBEAT = 1;
const SILENCE = PULL_EXPIRY + 2.5; // after this long without a word of the broker every pull has ended

export class Worker {
  readonly options: Required<Options>;
  nc!: NatsConnection;
  broker!: Broker;
  lease = 30;
  ending = false;
  /** Without a connection nothing is sent, because the client would send it later. */
  disconnected = false;
  private readonly running = new Set<Attempt>();
  private stops: [string, number][] = []; // the last notices; a task may come after its own
  private asked = 0;
  private heard = now();
  private absentUntil = 0;
  private wake = () => {};

  constructor(readonly work: (task: Task) => Promise<string> | string, options: Options = {}) {
    const retryDelay = (made: number) => Math.min(60, 0.5 * 2 ** (made - 1)) * (0.8 + Math.random() / 5);
    const name = `typescript-${hostname()}-${process.pid}`;
    this.options = { type: "default", url: "nats://127.0.0.1:14222", slots: 8, attempts: 3, retryDelay, timeLimit: 60, grace: 10, name, lease: 0, connect: {}, ...options };
  }

  /** Runs until SIGTERM or SIGINT. Then it takes no more tasks, gives back what it has not begun, and
   * finishes what runs. What is not finished within `grace` it gives back too. None of this costs a
   * task an attempt. */
  async main(): Promise<void> {
    const { type, url, name, grace } = this.options;
    const end = () => ((this.ending = true), this.wake());
    process.once("SIGTERM", end).once("SIGINT", end);
    await initZstd();
    const [at, ...others] = url.split(",").map((url) => new URL(url)) as [URL, ...URL[]];
    // The client takes no credentials in a URL.
    const login = at.username ? { user: decodeURIComponent(at.username), pass: decodeURIComponent(at.password) } : {};
    this.nc = await connect({ servers: [at, ...others].map((at) => at.host), ...login, name, maxReconnectAttempts: -1, reconnectTimeWait: 500, ...this.options.connect });
    const broker = new Broker(this.nc);
    const { lease } = this.options;
    const ask = () => broker.api(`$JS.API.CONSUMER.INFO.TASKS.worker-${type}`);
    this.lease = lease || (await patiently(ask, () => !this.ending)).config.ack_wait / 1e9;
    this.broker = new Broker(this.nc, Math.min(5, this.lease / 3)); // What has no answer is repeated under the lease.
    this.nc.subscribe("stop.*", { callback: (_, notice) => this.stopNotice(notice) });
    const inbox = createInbox();
    const tasks = this.nc.subscribe(inbox, { callback: (_, message) => this.take(message) });
    void this.watch();
    while (!this.ending) {
      this.ask(inbox);
      await Promise.race([sleep(100), new Promise<void>((wake) => (this.wake = wake))]);
    }
    // The broker may have sent tasks before it hears of the end: `take` gives them back.
    await Promise.race([tasks.drain().catch(() => {}), sleep(2_000)]);
    const until = now() + grace;
    while (this.running.size > 0 && now() < until) await sleep(20);
    for (const attempt of this.running) attempt.end(new GivenBack());
    while (this.running.size > 0) await sleep(10);
    await this.nc.close();
  }

  private async watch(): Promise<void> {
    for await (const { type } of this.nc.status()) {
      if (type === "disconnect") this.disconnected = true;
      // A broker that was restarted does not know what was asked before.
      if (type === "reconnect") [this.disconnected, this.asked] = [false, 0];
    }
  }

  /** Asks for as many tasks as there is room for, because a lease runs from the delivery. */
  private ask(inbox: string): void {
    const { slots, type } = this.options;
    if (now() - this.heard > SILENCE) [this.asked, this.heard] = [0, now()];
    const room = slots - this.running.size - this.asked;
    if (this.disconnected || now() < this.absentUntil || room <= 0 || (this.asked > 0 && room < slots / 4)) return;
    if (this.asked === 0) this.heard = now();
    this.asked += room;
    const pull = { batch: room, expires: PULL_EXPIRY * 1e9, idle_heartbeat: HEARTBEAT * 1e9 };
    this.nc.publish(`$JS.API.CONSUMER.MSG.NEXT.TASKS.worker-${type}`, JSON.stringify(pull), { reply: inbox });
  }

  private take(message: Msg): void {
    this.heard = now();
    const status = message.headers?.code ?? 0;
    if (status === 100) return;
    if (status > 0) {
      // A pull has ended, and says how many tasks it did not bring.
      this.asked = Math.max(0, this.asked - Number(message.headers?.get("Nats-Pending-Messages") || this.asked));
      if (status === 503) this.absentUntil = now() + 0.1; // The queue is made anew.
      return this.wake();
    }
    this.asked = Math.max(0, this.asked - 1);
    if (this.ending) return void message.respond("-NAK");
    const attempt = new Attempt(this, message);
    this.running.add(attempt);
    if (this.stops.some(([request, run]) => attempt.request === request && attempt.run <= run)) attempt.end(new Stopped());
    void attempt.settle().finally(() => (this.running.delete(attempt), this.wake()));
  }

  private stopNotice(notice: Msg): void {
    const [request, run] = [notice.subject.split(".")[1]!, Number(notice.string() || 0)];
    this.stops = [...this.stops.slice(-999), [request, run]];
    for (const attempt of this.running) if (attempt.request === request && attempt.run <= run) attempt.end(new Stopped());
  }
}
