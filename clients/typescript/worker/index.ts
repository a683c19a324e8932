// Workers for Fanfold (docs/worker-protocol.md).
//
//   await new Worker(async (task) => {
//     if (!market.ready()) throw new Again("the curve is not there", { after: 30 });
//     return task.document.replace("<amount/>", `<amount>${value}</amount>`);
//   }, { type: "bond", slots: 8 }).main(); // until SIGTERM
//
// Work that keeps the event loop busy for a third of the lease loses its task: give it to a thread.
export { Again, Never, type Task } from "./outcome.js";
export { Worker, type Options } from "./pool.js";
