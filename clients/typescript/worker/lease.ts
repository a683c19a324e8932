// The lease of a task. What the broker has answered holds it, not what was sent.
import { setTimeout as sleep } from "node:timers/promises";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { now } from "./broker.js";

export class Lease {
  private lost = false;
  private readonly signs: NodeJS.Timeout;

  /** Of a task that was delivered at `since`, at the earliest; its length is in seconds. */
  constructor(private readonly nc: NatsConnection, private readonly message: Msg, private readonly length: number, private since: number) {
    this.signs = setInterval(() => void this.extend(), (length * 1000) / 3);
  }

  /** Ends the signs of life. */
  end(): void {
    clearInterval(this.signs);
  }

  /** Whether no other worker can have the task yet. A lease that was lost stays lost. */
  isHeld(): boolean {
    this.lost ||= now() - this.since >= this.length;
    return !this.lost;
  }

  private async extend(): Promise<boolean> {
    const sent = now();
    try {
      await this.nc.request(this.message.reply!, "+WPI", { timeout: (this.length * 1000) / 3 });
    } catch {
      return false;
    }
    if (this.isHeld()) this.since = sent;
    return !this.lost;
  }

  /** Whether the broker says now that the task is still ours. */
  async confirm(): Promise<boolean> {
    while (this.isHeld()) {
      if (await this.extend()) return true;
      await sleep(250);
    }
    return false;
  }
}
