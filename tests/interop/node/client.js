// Scenes of a KafkaJS client for tests/interop/test_other_clients.py: SCENE SERVERS NAME [ASSIGNOR].
// Says what happens as one JSON object a line, without what differs from run to run.
"use strict";

const { Kafka, CompressionTypes, ConfigResourceTypes, PartitionAssigners, logLevel } = require("kafkajs");

const [scene, servers, topic] = process.argv.slice(2);
const retry = { initialRetryTime: 50, maxRetryTime: 500, retries: 20 };
const patient = { connectionTimeout: 60_000, requestTimeout: 60_000 };
const kafka = new Kafka({ brokers: [servers], clientId: "scenes", logLevel: logLevel.NOTHING, retry, ...patient });
const say = (event, value) => console.log(JSON.stringify({ [event]: value }));
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

async function until(done) {
  const end = Date.now() + 200_000;
  while (!done()) {
    if (Date.now() > end) throw new Error("not so after a while");
    await pause(20);
  }
}

// A new Kafka makes its topic of offsets when it is first asked; KafkaJS does not ask again in a transaction.
async function retried(work) {
  for (let left = 50; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (!error.retriable || left === 0) throw error;
      await pause(100);
    }
  }
}

async function withProducer(settings, work) {
  const producer = kafka.producer(settings);
  await producer.connect();
  const result = await work(producer);
  await producer.disconnect();
  return result;
}

// Reads a topic from its start until `done` says so, as [key, value] pairs.
async function readUntil(name, settings, done) {
  const readUncommitted = settings === "all";
  const consumer = kafka.consumer({ groupId: `${name}-${settings}`, readUncommitted, maxWaitTimeInMs: 200 });
  const found = [];
  await consumer.connect();
  await consumer.subscribe({ topics: [name], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      found.push([message.key && message.key.toString(), message.value.toString()]);
    },
  });
  await until(() => done(found));
  await consumer.disconnect();
  return found;
}

async function write() {
  const sent = new Map();
  await withProducer({ idempotent: true, maxInFlightRequests: 1 }, async (producer) => {
    for (const codec of ["None", "GZIP"]) {
      const messages = [];
      for (let n = 0; n < 200; n++) messages.push({ key: `${codec}-${n}`, value: `value ${n}` });
      messages.forEach(({ key, value }) => sent.set(key, value));
      await producer.send({ topic, acks: -1, compression: CompressionTypes[codec], messages });
    }
  });
  const found = await readUntil(topic, "reader", (records) => records.length >= sent.size);
  if (!found.every(([key, value]) => sent.get(key) === value)) throw new Error("not as sent");
  say("written and read", found.length);
}

async function transactions() {
  const settings = { transactionalId: topic, idempotent: true, maxInFlightRequests: 1, retry: { ...retry, retries: 3 } };
  const producer = kafka.producer(settings);
  await producer.connect();
  const send = (transaction, value) => transaction.send({ topic, messages: [{ value, partition: 0 }] });
  const committed = await producer.transaction();
  await send(committed, "one");
  await send(committed, "two");
  const offsets = [{ topic, partitions: [{ partition: 0, offset: "2" }] }];
  await retried(() => committed.sendOffsets({ consumerGroupId: `${topic}-offsets`, topics: offsets }));
  await committed.commit();
  const aborted = await producer.transaction();
  await send(aborted, "three");
  await aborted.abort();
  const zombie = await producer.transaction();
  await send(zombie, "of a zombie");
  const successor = kafka.producer(settings);
  await successor.connect();
  const last = await successor.transaction();
  await send(last, "of a successor");
  await last.commit();
  const refused = await zombie.commit().then(() => "no", () => "yes");
  say("the zombie is refused", refused);
  await successor.disconnect();
  await producer.disconnect().catch(() => {});
  await withProducer({}, (plain) => plain.send({ topic, messages: [{ value: "last", partition: 0 }] }));
  const atEnd = (records) => records.length > 0 && records[records.length - 1][1] === "last";
  for (const level of ["committed", "all"]) {
    say(level, (await readUntil(topic, level, atEnd)).map(([, value]) => value));
  }
  const admin = kafka.admin();
  await admin.connect();
  const [at] = await admin.fetchOffsets({ groupId: `${topic}-offsets`, topics: [topic] });
  say("offsets", at.partitions.map(({ partition, offset }) => [partition, offset]));
  await admin.disconnect();
}

async function join(name, read) {
  const consumer = kafka.consumer({
    groupId: `${topic}-group`,
    partitionAssigners: [PartitionAssigners.roundRobin],
    sessionTimeout: 120_000,
    heartbeatInterval: 300,
    maxWaitTimeInMs: 200,
  });
  const member = { consumer, owned: 0, told: [] };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    member.owned = (payload.memberAssignment[topic] || []).length;
    member.told.push(`${name} has ${member.owned} by ${payload.groupProtocol}`);
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => read.push(`${partition}/${message.offset}`),
  });
  return member;
}

async function group() {
  const read = [];
  const first = await join("first", read);
  await until(() => first.owned === 4 && read.length >= 100);
  const second = await join("second", read);
  await until(() => first.owned === 2 && second.owned === 2);
  await first.consumer.disconnect();
  await until(() => second.owned === 4);
  await second.consumer.disconnect();
  say("first", first.told);
  say("second", second.told);
  say("read", new Set(read).size);
}

async function admin() {
  const asked = kafka.admin({ retry: { ...retry, retries: 3 } });
  const made = `${topic}-made`;
  const errorOf = (promise) => promise.then(() => "none", (error) => (error.errors || [error])[0].type || error.name);
  await asked.connect();
  const wanted = [{ topic: made, numPartitions: 2, configEntries: [{ name: "retention.ms", value: "3600000" }] }];
  say("created", await asked.createTopics({ topics: wanted }));
  say("created again", await asked.createTopics({ topics: wanted }));
  await asked.createPartitions({ topicPartitions: [{ topic: made, count: 3 }] });
  const resource = { type: ConfigResourceTypes.TOPIC, name: made };
  await asked.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: "cleanup.policy", value: "compact" }] }] });
  const described = await asked.describeConfigs({ resources: [resource] });
  const entries = described.resources[0].configEntries.map((entry) => [entry.configName, entry.configValue]);
  say("configs", Object.fromEntries(entries.sort()));
  const { topics } = await asked.fetchTopicMetadata({ topics: [made, topic] });
  say("partitions", topics.map((one) => [one.name, one.partitions.length]).sort());
  const ends = await asked.fetchTopicOffsets(topic);
  say("records", ends.reduce((sum, { high }) => sum + Number(high), 0));
  await asked.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "5" }] });
  say("start", (await asked.fetchTopicOffsets(topic)).find(({ partition }) => partition === 0).low);
  const groupId = `${topic}-by-hand`;
  await asked.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: "7" }] });
  const [offsets] = await asked.fetchOffsets({ groupId, topics: [topic] });
  say("offsets", offsets.partitions.map(({ partition, offset }) => [partition, offset]).sort());
  say("listed", (await asked.listGroups()).groups.filter((one) => one.groupId === groupId).length);
  const { groups } = await asked.describeGroups([groupId, `${groupId}-absent`]);
  say("described", groups.map(({ state, protocolType }) => [state, protocolType]).sort());
  say("group deleted", await errorOf(asked.deleteGroups([groupId])));
  say("absent group", await errorOf(asked.deleteGroups([`${groupId}-absent`])));
  const cluster = await asked.describeCluster();
  say("brokers", [cluster.brokers.length, cluster.controller === cluster.brokers[0].nodeId]);
  await asked.deleteTopics({ topics: [made] });
  say("absent topic", await errorOf(asked.deleteTopics({ topics: [`${topic}-absent`], timeout: 1000 })));
  await asked.disconnect();
}

({ write, transactions, group, admin })[scene]().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
