// What BullMQ does with W1 and W2 on this machine: a flow for each group, added when the group
// before it has ended; tasks of 2 KB in and 0.2 KB out that do nothing; 64 requests in flight.
// Without HTTP, XML, views or a feed, which Fanfold's figures include.
//
//   npm install --prefix /tmp/bullmq bullmq@5.81.5
//   NODE_PATH=/tmp/bullmq/node_modules node tests/bench/peers/bullmq.mjs everysec|always [seconds]
import { fork, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(join(process.env.NODE_PATH ?? '', 'x.js'));
const { FlowProducer, QueueEvents, Worker } = require('bullmq');

const PORT = 6399;
const connection = { host: '127.0.0.1', port: PORT };
const IN_FLIGHT = 64;
// What a run may take beside its load.
const LIMIT_MS = 60_000;
const INPUT = 'i'.repeat(2_000);
const OUTPUT = 'o'.repeat(200);
const WORKLOADS = { W1: { groups: 2, tasks: 1 }, W2: { groups: 3, tasks: 10 } };
const keep = { removeOnComplete: { age: 60 } };

function group(flow, request, index, { groups, tasks }) {
  return flow.add({
    name: 'join', queueName: 'joins', opts: { ...keep, jobId: `${request}_${index}` },
    data: { request, index, groups, tasks },
    children: Array.from({ length: tasks }, () => (
      { name: 'task', queueName: 'tasks', data: { input: INPUT }, opts: keep })),
  });
}

// Runs the tasks, and begins the next group when one has ended.
function work() {
  const flow = new FlowProducer({ connection });
  new Worker('tasks', async () => OUTPUT, { connection, concurrency: IN_FLIGHT });
  new Worker('joins', async (job) => {
    const { request, index, groups, tasks } = job.data;
    const results = Object.values(await job.getChildrenValues());
    if (results.length !== tasks || results.some((result) => result !== OUTPUT)) process.exit(1);
    if (index + 1 < groups) await group(flow, request, index + 1, { groups, tasks });
  }, { connection, concurrency: IN_FLIGHT });
}

async function measure(name, seconds) {
  const shape = WORKLOADS[name];
  const flow = new FlowProducer({ connection });
  const events = new QueueEvents('joins', { connection });
  await events.waitUntilReady();
  const waiting = new Map();
  events.on('completed', ({ jobId }) => waiting.get(jobId)?.());
  let number = 0;
  const one = async () => {
    const request = `${name}${number++}`;
    const ended = new Promise((done) => waiting.set(`${request}_${shape.groups - 1}`, done));
    const begun = performance.now();
    await group(flow, request, 0, shape);
    await ended;
    waiting.delete(`${request}_${shape.groups - 1}`);
    return performance.now() - begun;
  };
  const alone = [];
  for (let n = 0; n < 100; n++) alone.push(await one());
  const until = performance.now() + seconds * 1_000;
  let done = 0;
  const begun = performance.now();
  const caller = async () => { while (performance.now() < until) { await one(); done++; } };
  await Promise.all(Array.from({ length: IN_FLIGHT }, caller));
  const rate = done / ((performance.now() - begun) / 1_000);
  const p50 = alone.sort((a, b) => a - b)[50];
  console.log(`${name}: ${rate.toFixed(0)} requests/s, ${(rate * shape.groups * shape.tasks).toFixed(0)} tasks/s, alone p50 ${p50.toFixed(1)} ms`);
  await events.close();
  await flow.close();
}

if (process.argv[2] === 'work') {
  work();
} else {
  const [sync = 'everysec', seconds = '8'] = process.argv.slice(2);
  const dir = mkdtempSync(join(tmpdir(), 'bullmq-'));
  const redis = spawn('redis-server', ['--port', PORT, '--dir', dir, '--save', '',
    '--appendonly', 'yes', '--appendfsync', sync], { stdio: 'ignore' });
  const worker = fork(process.argv[1], ['work']);
  process.on('exit', () => {
    worker.kill();
    redis.kill();
    rmSync(dir, { recursive: true, force: true });
  });
  setTimeout(() => {
    console.error(`it has not ended within its limit`);
    process.exit(1);
  }, LIMIT_MS + 2_000 * Number(seconds)).unref();
  console.log(`BullMQ, Redis AOF ${sync}`);
  for (const name of Object.keys(WORKLOADS)) await measure(name, Number(seconds));
  process.exit(0);
}
