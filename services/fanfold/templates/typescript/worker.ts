// Values the tasks of the type TASK-TYPE: node --import tsx worker.ts. README.md says how to run it.
import { Never, Worker, type Task } from "./fanfold/worker/index.js"; // and Again, to be tried again

function value({ document }: Task): string {
  const principal = /<principal>([0-9.]+)<\/principal>/.exec(document);
  if (!principal || !document.includes("<amount/>"))
    throw new Never("there is no principal, or no amount to fill in", { code: "nothing-to-value" });
  const amount = 1.05 * Number(principal[1]); // Your model goes here.
  return document.replace("<amount/>", `<amount>${amount.toFixed(2)}</amount>`);
}

await new Worker(value, { type: "TASK-TYPE", slots: 8 }).main(); // until SIGTERM
