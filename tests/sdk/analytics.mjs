// Session replays, what browsers observe, and metrics through the published SDK. What needs a browser
// is called where the SDK's own recorder would call it.
//
// Reads what `scenario.mjs` reads, and MUNIMENT_ADMIN_KEY.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { StackAdminApp, StackClientApp, stackAppInternalsSymbol } from "@stackframe/js";
import { MetricsResponseBodySchema } from "@stackframe/stack-shared/dist/interface/admin-metrics";
import { step } from "./step.mjs";

const baseUrl = process.env.MUNIMENT_URL;
const projectId = process.env.MUNIMENT_PROJECT_ID;
const publishableClientKey = process.env.MUNIMENT_CLIENT_KEY;
const secretServerKey = process.env.MUNIMENT_SERVER_KEY;
const superSecretAdminKey = process.env.MUNIMENT_ADMIN_KEY;

const internals = stackAppInternalsSymbol ?? Symbol.for("StackAuth--DO-NOT-USE-OR-YOU-WILL-BE-FIRED--StackAppInternals");
const client = new StackClientApp({ baseUrl, projectId, publishableClientKey, tokenStore: "memory", noAutomaticPrefetch: true });
const admin = new StackAdminApp({ baseUrl, projectId, publishableClientKey, secretServerKey, superSecretAdminKey, tokenStore: null });

const upload = (batch) => client[internals].sendSessionReplayBatch(JSON.stringify(batch), { keepalive: false });
const chunk = (timestamp) => ({
  browser_session_id: randomUUID(), session_replay_segment_id: randomUUID(), batch_id: randomUUID(),
  started_at_ms: timestamp, sent_at_ms: timestamp, events: [{ type: 4, timestamp, data: { text: "cut \ud83c" } }],
});

await step("switches analytics on", async () => {
  const answer = await fetch(`${baseUrl}/api/v1/internal/config/override/branch`, {
    method: "PATCH",
    headers: {
      "content-type": "application/json", "x-stack-access-type": "admin", "x-stack-project-id": projectId,
      "x-stack-super-secret-admin-key": superSecretAdminKey,
    },
    body: JSON.stringify({ config_override_string: JSON.stringify({ "apps.installed.analytics.enabled": true }) }),
  });
  assert.equal(answer.status, 200, await answer.text());
});

let user;
const now = Date.now();
await step("sends recordings", async () => {
  const result = await client.signUpWithCredential({
    email: `seen-${now}@example.com`, password: "correct horse battery", noRedirect: true, noVerificationCallback: true,
  });
  assert.equal(result.status, "ok", JSON.stringify(result));
  user = await client.getUser({ or: "throw" });
  for (const timestamp of [now, now + 1500]) {
    const sent = await upload(chunk(timestamp));
    assert.equal(sent.status, "ok", String(sent.error));
    assert.equal((await sent.data.json()).deduped, false);
  }
});

await step("lists and reads them", async () => {
  const { items, nextCursor } = await admin.listSessionReplays({ userIds: [user.id], durationMsMin: 1000, limit: 10 });
  assert.equal(nextCursor, null);
  assert.equal(items.length, 1);
  const [replay] = items;
  assert.equal(replay.projectUser.id, user.id);
  assert.equal(replay.startedAt.getTime(), now);
  assert.equal(replay.lastEventAt.getTime(), now + 1500);
  assert.equal(replay.chunkCount, 2);
  assert.deepEqual(await admin.getSessionReplay(replay.id), replay);
  const chunks = await admin.listSessionReplayChunks(replay.id, { limit: 1 });
  assert.equal(chunks.nextCursor, chunks.items[0].id);
  assert.equal(chunks.items[0].firstEventAt.getTime(), now);
  const one = await admin.getSessionReplayChunkEvents(replay.id, chunks.items[0].id);
  assert.equal(one.events[0].data.text, "cut \ufffd");
  const all = await admin.getSessionReplayEvents(replay.id, { offset: 1, limit: 1 });
  assert.equal(all.chunks.length, 2);
  assert.equal(all.chunkEvents[0].events[0].timestamp, now + 1500);
});

await step("sends what browsers observe", async () => {
  const batch = {
    session_replay_segment_id: randomUUID(), batch_id: randomUUID(), sent_at_ms: now,
    events: [{ event_type: "$page-view", event_at_ms: now, data: { url: "https://example.com/", referrer: "" } }],
  };
  const sent = await client[internals].sendAnalyticsEventBatch(JSON.stringify(batch), { keepalive: false });
  // This server was started without an analytics store, and says so rather than lose anything.
  assert.equal(sent.status, "error");
  assert.match(String(sent.error), /CLICKHOUSE_URL/);
});

await step("reads metrics of the shape that it expects", async () => {
  // Outside of React there is no public way to them.
  const metrics = await MetricsResponseBodySchema.validate(await admin._interface.getMetrics(), { strict: true });
  assert.equal(metrics.total_users, 1);
  assert.equal(metrics.recently_active[0].id, user.id);
  assert.equal(metrics.analytics_overview.total_replays, 1);
});

console.log("all steps passed");
