// A worker: node --import tsx example_worker.ts NATS_URL [SLOTS]. What a task asks for is in its valuation's name.
import { setTimeout as sleep } from "node:timers/promises";
import { Again, Never, Worker, type Task } from "./worker/index.js";

async function price({ document, request, task, attempt, traceparent, signal }: Task): Promise<string> {
  console.log("runs", task, attempt, request);
  const [asks, number] = /valuation name="([^"]*)"/.exec(document)![1]!.split("-");
  let amount: string | undefined = `${task}.00`;
  if (asks === "sleep") await sleep(1000 * Number(number), undefined, { signal });
  if ((asks === "again" || asks === "trace") && attempt <= Number(number ?? 0)) throw new Again("the curve is not there", { code: "no-curve", after: 0.1 });
  if (asks === "never") throw new Never("there is no such curve", { code: "wrong-curve", causes: ["EUR-6M"] });
  if (asks === "bug") throw new RangeError("division by zero");
  if (asks === "trace") amount = traceparent;
  return document.replace("<amount/>", `<amount>${amount}</amount>` + "<!-- large -->".repeat(asks === "big" ? 10_000 : 0));
}

await new Worker(price, { url: process.argv[2], slots: Number(process.argv[3] ?? 8), grace: 2 }).main();
