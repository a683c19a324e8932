// What a worker needs of the broker: payloads, dead letters, and patience.
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { compress, decompress } from "@bokuweb/zstd-wasm";
import { headers as newHeaders, NoRespondersError, RequestError, type NatsConnection } from "@nats-io/transport-node";
import { Again, Never } from "./outcome.js";

export type Json = Record<string, any>;
export interface Stored { sha256: string; size: number }
interface Found { seq: number; at: number; data: Uint8Array; headers: string }

const INLINE_MAX_BYTES = 64 * 1024;
const LETTER_MAX_BYTES = 900 * 1024;
const PATIENCE = 300; // seconds
const [STORE, CHUNK_BYTES] = ["OBJ_PAYLOADS", 128 * 1024];
const READS = 5; // of a payload that is stored anew meanwhile
const REFRESH_AFTER = 24 * 3600 * 1000; // from this age on a payload is stored anew, to outlive the new reference
const CLOCKS_APART = 5_000; // milliseconds
const [NO_MESSAGE, WRONG_SEQUENCE, NO_JETSTREAM] = [10037, 10071, 10039];

export const now = () => performance.now() / 1000;
export const hash = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

const base64 = (text: string) => Buffer.from(text).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
// Whether this worker is in an account of its own, to which this is not exported.
const mayNot = (error: unknown) =>
  (error instanceof Refused && error.errCode === NO_JETSTREAM) || error instanceof NoRespondersError ||
  (error instanceof RequestError && error.isNoResponders());

/** The broker understood, and refused. */
class Refused extends Error {
  constructor(readonly code: number, readonly errCode: number, description: string) {
    super(`${description} (${errCode})`);
  }
}

/** Does a step that the broker may not be able to do now, again and again, while `goesOn`. A stream
 * that is not there may come back; what the broker has understood and refused it refuses again. */
export async function patiently<T>(step: () => Promise<T>, goesOn: () => boolean): Promise<T> {
  const until = now() + PATIENCE;
  for (let pause = 100; ; pause = Math.min(1_000, 2 * pause)) {
    try {
      return await step();
    } catch (error) {
      const final = error instanceof Refused && error.code >= 400 && error.code < 500 && error.code !== 404;
      if (error instanceof Again || final || now() > until || !goesOn()) throw error;
    }
    await sleep(pause);
  }
}

export class Broker {
  /** What has no answer within `timeout` seconds counts as not done. */
  constructor(readonly nc: NatsConnection, private readonly timeout = 5) {}

  /** Asks JetStream, or publishes to one of its streams, and awaits the answer. */
  async api(subject: string, body: unknown = "", headers: Record<string, string> = {}): Promise<Json> {
    const sent = newHeaders();
    for (const [name, value] of Object.entries(headers)) sent.set(name, value);
    const payload = body instanceof Uint8Array || body === "" ? (body as Uint8Array) : JSON.stringify(body);
    const answer = (await this.nc.request(subject, payload, { timeout: 1000 * this.timeout, headers: sent })).json<Json>();
    if (answer.error) throw new Refused(answer.error.code, answer.error.err_code, answer.error.description);
    return answer;
  }

  /** The last, or the first, message of a subject, or none. */
  private async message(stream: string, ask: Json): Promise<Found | undefined> {
    try {
      const { message } = await this.api(`$JS.API.STREAM.MSG.GET.${stream}`, ask);
      const [data, headers] = [Buffer.from(message.data ?? "", "base64"), Buffer.from(message.hdrs ?? "", "base64").toString()];
      return { seq: message.seq, at: Date.parse(message.time), data, headers };
    } catch (error) {
      if (error instanceof Refused && error.errCode === NO_MESSAGE) return undefined;
      throw error;
    }
  }

  /** A message of the object store: from any server that has it, or else from the leader. */
  private async stored(ask: Json): Promise<Pick<Found, "seq" | "at" | "data"> | undefined> {
    const answer = await this.nc.request(`$JS.API.DIRECT.GET.${STORE}`, JSON.stringify(ask), { timeout: 1000 * this.timeout });
    const seq = answer.headers?.get("Nats-Sequence");
    if (seq) return { seq: Number(seq), at: Date.parse(answer.headers!.get("Nats-Time-Stamp")), data: answer.data };
    try {
      return await this.message(STORE, ask);
    } catch (error) {
      if (!mayNot(error)) throw error;
      return undefined;
    }
  }

  /** The bytes of a payload over 64 KiB: the object store PAYLOADS, by SHA-256, packed with zstd. */
  async fetch({ sha256, size }: Stored): Promise<string> {
    let packed: Buffer | undefined;
    for (let reads = 0; reads < READS && !packed; reads++) {
      const found = await this.info(sha256);
      packed = found && (await this.chunks(found.info)); // None where another process has stored it anew.
      if (!packed) await sleep(200);
    }
    if (!packed) throw new Never(`payload ${sha256} is not in the store`, { code: "payload-missing" });
    const data = Buffer.from(decompress(packed, { defaultHeapSize: size }));
    if (hash(data) !== sha256) throw new Never(`payload ${sha256}: its bytes have another hash`, { code: "payload-unreadable" });
    return data.toString();
  }

  private async info(sha256: string): Promise<{ at: number; info: Json } | undefined> {
    const found = await this.stored({ last_by_subj: `$O.PAYLOADS.M.${base64(sha256)}` });
    const info = found && (JSON.parse(Buffer.from(found.data).toString()) as Json);
    return found && !info?.deleted ? { at: found.at, info: info! } : undefined;
  }

  /** Needs no consumer, of which a stream takes a limited number. */
  private async chunks({ nuid, size }: Json): Promise<Buffer | undefined> {
    const chunks: Uint8Array[] = [];
    for (let [bytes, seq] = [0, 1]; bytes < size; ) {
      const chunk = await this.stored({ seq, next_by_subj: `$O.PAYLOADS.C.${nuid}` });
      if (!chunk) return undefined;
      chunks.push(chunk.data);
      [bytes, seq] = [bytes + chunk.data.length, chunk.seq + 1];
    }
    return Buffer.concat(chunks);
  }

  async place(data: Buffer): Promise<Json> {
    if (data.length <= INLINE_MAX_BYTES) return { inline: data.toString() };
    const sha256 = hash(data);
    const payload = { stored: { sha256, size: data.length } };
    const found = await this.info(sha256);
    if (found && Date.now() - found.at < REFRESH_AFTER) return payload;
    const [packed, nuid] = [compress(data, 3), randomBytes(11).toString("hex")];
    let chunks = 0;
    for (let at = 0; at < packed.length; at += CHUNK_BYTES, chunks++)
      await this.api(`$O.PAYLOADS.C.${nuid}`, packed.subarray(at, at + CHUNK_BYTES));
    const digest = `SHA-256=${createHash("sha256").update(packed).digest("base64").replaceAll("+", "-").replaceAll("/", "_")}`;
    const info = {
      name: sha256, bucket: "PAYLOADS", nuid, size: packed.length, chunks, digest, mtime: new Date().toISOString(),
      options: { max_chunk_size: CHUNK_BYTES },
    };
    await this.api(`$O.PAYLOADS.M.${base64(sha256)}`, info, { "Nats-Rollup": "sub" });
    return payload;
  }

  /** Stores a dead letter. One that is there stands and is given instead, unless it is of an earlier
   * request with the same id. */
  async keep(subject: string, log: string, letter: Json, document: string): Promise<Json> {
    const pack = (letter: Json) => compress(Buffer.from(JSON.stringify(letter)), 1);
    // The object store forgets a document earlier than the letter.
    const inlined = document ? pack({ ...letter, document: { inline: document } }) : undefined;
    const body = inlined && inlined.length <= LETTER_MAX_BYTES ? inlined : pack(letter);
    for (let over = 0; ; ) {
      try {
        const headers = { "Fanfold-Encoding": "zstd", "Nats-Expected-Last-Subject-Sequence": String(over) };
        await this.api(subject, body, headers);
        return letter;
      } catch (error) {
        if (!(error instanceof Refused && error.errCode === WRONG_SEQUENCE)) throw error;
      }
      try {
        const found = await this.letter(subject, log, true);
        if (found && !found.earlier) return found.content;
        over = found?.seq ?? 0;
      } catch (error) {
        if (!mayNot(error)) throw error;
        return letter; // This worker may not read letters. The one that is there has the same name.
      }
    }
  }

  async findLetter(subject: string, log: string) {
    try {
      return await this.letter(subject, log);
    } catch (error) {
      if (!mayNot(error)) throw error;
      return undefined; // This worker may not read letters.
    }
  }

  private async letter(subject: string, log: string, earlierToo = false): Promise<{ content: Json; seq: number; earlier: boolean } | undefined> {
    const found = await this.message("DEAD_LETTERS", { last_by_subj: subject });
    if (!found) return undefined;
    const stream = (await this.api("$JS.API.STREAM.NAMES", { subject: log })).streams?.[0];
    const first = await this.message(stream, { seq: 1, next_by_subj: log });
    const earlier = first !== undefined && found.at + CLOCKS_APART < first.at;
    if (earlier && !earlierToo) return undefined;
    const packed = /^Fanfold-Encoding: *zstd/im.test(found.headers);
    return { content: JSON.parse(Buffer.from(packed ? decompress(found.data) : found.data).toString()), seq: found.seq, earlier };
  }
}
