// Follow what fails: node --import tsx failed.ts NATS_URL [SINCE]
// Needs @nats-io/transport-node, @nats-io/jetstream and tsx.
//
// A durable consumer of lifecycle.failed.*, at least once: it goes on where it was, and tells an
// event it has seen by its ce-id. SINCE is where it begins the first time. Another tenant than default
// has its events at tenants.<tenant>.lifecycle.failed.*; the request is in the header ce-subject.
import { connect } from "@nats-io/transport-node";
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";

const [url, since] = process.argv.slice(2);
const durable = "failed-watch-ts";
const connection = await connect({ servers: url });
const manager = await jetstreamManager(connection);
try {
  await manager.consumers.info("LIFECYCLE", durable);
} catch {
  await manager.consumers.add("LIFECYCLE", {
    durable_name: durable,
    filter_subject: "lifecycle.failed.*",
    ack_policy: AckPolicy.Explicit,
    ...(since
      ? { deliver_policy: DeliverPolicy.StartTime, opt_start_time: since }
      : { deliver_policy: DeliverPolicy.All }),
  });
}
const consumer = await jetstream(connection).consumers.get("LIFECYCLE", durable);
const seen = new Set<string>(); // In earnest: a table, written with what the event causes.
for await (const message of await consumer.consume()) {
  const id = message.headers!.get("ce-id");
  if (!seen.has(id)) {
    seen.add(id);
    const data = message.json() as { requestId: string; failure: { code: string } };
    console.log(id, data.requestId, data.failure.code);
  }
  message.ack();
}
