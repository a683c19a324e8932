// Does what clients/stories.py says, one line of JSON for each call, and answers with another.
import { createInterface } from "node:readline";
import { Fanfold, FanfoldError, type Filters } from "./fanfold.js";

const [url, options] = [process.argv[2]!, JSON.parse(process.argv[3] ?? "{}")];
const fanfold = new Fanfold(url, options);
const at = (a: Args) => fanfold.request(a.id, a.sequence);
interface Args { id: string; sequence?: number; document: string; key?: string; headers?: Record<string, string>; timeout?: number; partial?: boolean; after?: string; take?: number; filters?: Filters; reason: string }

const calls: Record<string, (a: Args) => Promise<unknown>> = {
  submit: async (a) => {
    const { id, sequence, replayed } = await fanfold.submit(a.document, a);
    return { id, sequence, replayed };
  },
  value: (a) => fanfold.value(a.document, a),
  status: (a) => at(a).status(),
  result: (a) => at(a).result(a),
  events: (a) => take(at(a).events(a.after), a.take),
  tasks: (a) => take(at(a).tasks(a.filters)),
  cancel: (a) => at(a).cancel(a.reason),
  redrive: (a) => at(a).redrive(a.reason),
  check: (a) => fanfold.check(a.document),
  list: (a) => take(fanfold.list(a.filters), a.take),
  dead_letters: (a) => take(fanfold.deadLetters(a.filters)),
  discard: (a) => fanfold.discard(a.id),
};

async function take<T>(items: AsyncGenerator<T>, most = Infinity): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of items) if (taken.push(item) >= most) break;
  return taken;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...args } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ gives: (await calls[call]!(args)) ?? null }));
  } catch (error) {
    if (!(error instanceof FanfoldError)) throw error;
    const { name, code, why, status, requestId = null } = error;
    console.log(JSON.stringify({ error: { kind: name, code, why, status, requestId } }));
  }
}
