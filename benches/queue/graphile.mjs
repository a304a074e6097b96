// Drains no-op jobs with graphile-worker, as its own performance notes tune it (localQueue, batched completion): prints "what<TAB>jobs/s".
import { run, makeWorkerUtils } from "graphile-worker";

const connectionString = process.env.DATABASE_URL;

// Its local queue does not go together with named queues: those are drained without it.
const preset = (queues) => ({
  worker: {
    connectionString,
    concurrentJobs: 24,
    maxPoolSize: queues ? 25 : 6,
    localQueue: { size: queues ? -1 : 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    fileExtensions: [],
  },
});

async function drain(what, count, queues) {
  const utils = await makeWorkerUtils({ connectionString });
  await utils.migrate();
  for (let first = 0; first < count; first += 1000) {
    const jobs = Array.from({ length: 1000 }, (_, i) => ({
      identifier: "noop",
      payload: { n: first + i },
      queueName: queues ? `q${(first + i) % queues}` : undefined,
    }));
    await utils.addJobs(jobs);
  }
  await utils.release();
  let done = 0;
  let finished;
  const all = new Promise((resolve) => (finished = resolve));
  const since = process.hrtime.bigint();
  const runner = await run({
    preset: preset(queues),
    taskList: {
      noop: () => {
        done += 1;
        if (done === count) finished();
      },
    },
    noHandleSignals: true,
  });
  await Promise.race([all, new Promise((resolve) => setTimeout(resolve, 120000))]);
  await runner.stop(); // waits for the completions that are still to be written
  const seconds = Number(process.hrtime.bigint() - since) / 1e9;
  console.log(`${what}\t${done / seconds}`);
  if (done < count) console.error(`${what}: only ${done} within two minutes`);
}

const count = Number(process.argv[2]);
await drain(`drain ${count}`, count, 0);
await drain(`drain ${count / 10} over 200 queues`, count / 10, 200);
process.exit(0);
