// How many no-op jobs a second other queues on PostgreSQL finish: node jobs.mjs DATABASE_URL JOBS
//
// Prints one JSON object: jobs a second of graphile-worker (one at a time per slot, 10 slots), of graphile-worker's own
// batched mode, and of pg-boss in batches of 100. Each works in schemas of its own, which are dropped.
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import PgBoss from "pg-boss";
import pg from "pg";

const [url, count] = [process.argv[2], Number(process.argv[3] ?? 20000)];
const pool = new pg.Pool({ connectionString: url, max: 12 });
pool.on("error", console.error);
pool.on("connect", (client) => client.on("error", console.error));
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});

async function graphile(schema, how) {
  await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  const utils = await makeWorkerUtils({ pgPool: pool, schema, logger });
  await utils.migrate();
  await pool.query(
    `SELECT ${schema}.add_jobs(ARRAY(SELECT ('noop', '{}'::json, NULL, NULL, NULL, NULL, NULL, NULL)::${schema}.job_spec
       FROM generate_series(1, $1)))`,
    [count],
  );
  let done = 0;
  let finished;
  const all = new Promise((resolve) => (finished = resolve));
  const taskList = { noop: () => { if (++done === count) finished(); } };
  const start = process.hrtime.bigint();
  const preset = { worker: { schema, ...how } };
  const runner = await run({ pgPool: pool, taskList, logger, noHandleSignals: true, preset });
  await all;
  // That each job is written down as done is part of the work.
  for (let left = 1; left > 0; ) {
    left = (await pool.query(`SELECT count(*)::int AS n FROM ${schema}._private_jobs`)).rows[0].n;
  }
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  await runner.stop();
  await utils.release();
  await pool.query(`DROP SCHEMA ${schema} CASCADE`);
  return count / seconds;
}

const single = await graphile("peer_graphile", { concurrentJobs: 10 });
const batched = await graphile("peer_graphile_batched", {
  concurrentJobs: 24,
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
});

async function boss() {
  const schema = "peer_boss";
  await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  const queue = new PgBoss({ connectionString: url, schema, supervise: false, schedule: false });
  queue.on("error", console.error);
  await queue.start();
  await queue.createQueue("noop");
  // Its workers poll at most twice a second, so far fewer jobs tell the same.
  const jobs = Math.min(count, 2000);
  await queue.insert(Array.from({ length: jobs }, () => ({ name: "noop", data: {} })));
  let done = 0;
  let finished;
  const all = new Promise((resolve) => (finished = resolve));
  const start = process.hrtime.bigint();
  await queue.work("noop", { batchSize: 100, pollingIntervalSeconds: 0.5 }, async (batch) => {
    done += batch.length;
    if (done >= jobs) finished();
  });
  await all;
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  await queue.stop({ graceful: true, wait: true });
  await pool.query(`DROP SCHEMA ${schema} CASCADE`);
  return jobs / seconds;
}

const bossRate = await boss();
await pool.end();
console.log(JSON.stringify({ graphile_worker: single, graphile_worker_batched: batched, pg_boss: bossRate }));
process.exit(0);
