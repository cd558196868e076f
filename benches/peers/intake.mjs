// A webhook endpoint as users write it today: Express, the official SDK's verification, one durable insert per event.
// node intake.mjs DATABASE_URL SECRET; prints the bound port, then serves until it is ended.
import express from "express";
import pg from "pg";
import Stripe from "stripe";

const [url, secret] = process.argv.slice(2);
const stripe = new Stripe("sk_test_unused");
const pool = new pg.Pool({ connectionString: url, max: 16 });
await pool.query("DROP TABLE IF EXISTS peer_events");
await pool.query("CREATE TABLE peer_events (id text PRIMARY KEY, kind text NOT NULL, body text NOT NULL, at timestamptz NOT NULL DEFAULT now())");

const app = express();
app.post("/webhooks/stripe", express.raw({ type: "*/*", limit: "256kb" }), async (request, response) => {
  let event;
  try {
    event = stripe.webhooks.constructEvent(request.body, request.headers["stripe-signature"], secret);
  } catch {
    return response.status(400).end();
  }
  await pool.query("INSERT INTO peer_events (id, kind, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", [
    event.id,
    event.type,
    request.body.toString("utf8"),
  ]);
  response.json({ status: "accepted" });
});
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
