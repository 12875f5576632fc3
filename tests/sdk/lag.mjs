// From a sign-up through the published SDK to its row in the analytics store, queried as admins do,
// and to its webhook, verified with Svix's own package: how long that takes.
//
// Reads what `scenario.mjs` reads, and MUNIMENT_ADMIN_KEY. The server must have an analytics store.

import assert from "node:assert/strict";
import { StackAdminApp, StackClientApp } from "@stackframe/js";
import { Webhook } from "svix";
import { openReceiver } from "./receiver.mjs";

const SIGN_UPS = 50;
const AT_ONCE = 5;
// Milliseconds, far above what it takes: the machine may be busy with other tests. The longest lag
// of 99 in a hundred, and the whole scenario.
const LONGEST = 30_000;
const PATIENCE = 180_000;

const baseUrl = process.env.MUNIMENT_URL;
const projectId = process.env.MUNIMENT_PROJECT_ID;
const publishableClientKey = process.env.MUNIMENT_CLIENT_KEY;
const secretServerKey = process.env.MUNIMENT_SERVER_KEY;
const superSecretAdminKey = process.env.MUNIMENT_ADMIN_KEY;
const admin = new StackAdminApp({ baseUrl, projectId, publishableClientKey, secretServerKey, superSecretAdminKey, tokenStore: null });

async function call(method, path, body) {
  const answer = await fetch(`${baseUrl}/api/v1${path}`, {
    method,
    headers: {
      "content-type": "application/json", "x-stack-access-type": "admin", "x-stack-project-id": projectId,
      "x-stack-super-secret-admin-key": superSecretAdminKey,
    },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

const receiver = await openReceiver();
const endpoints = "/internal/webhooks/endpoints";
const endpoint = await call("POST", endpoints, { url: receiver.url, filter_types: ["user.created"] });
const { secret } = await call("GET", `${endpoints}/${endpoint.id}/secret`);

// When each address was answered, seen in the store, and told of: milliseconds of one clock.
const answered = new Map();
const stored = new Map();
const told = new Map();

async function signUp(nth) {
  const email = `lag-${nth}@example.com`;
  const client = new StackClientApp({ baseUrl, projectId, publishableClientKey, tokenStore: "memory", noAutomaticPrefetch: true });
  const result = await client.signUpWithCredential({
    email, password: "correct horse battery", noRedirect: true, noVerificationCallback: true,
  });
  assert.equal(result.status, "ok", JSON.stringify(result));
  answered.set(email, performance.now());
}

async function signUpOneAfterTheOther(first) {
  for (let nth = first; nth < SIGN_UPS; nth += AT_ONCE) await signUp(nth);
}

async function watchStore() {
  const deadline = performance.now() + PATIENCE;
  while (stored.size < SIGN_UPS) {
    assert.ok(performance.now() < deadline, `only ${stored.size} rows of ${SIGN_UPS} arrived`);
    const { result } = await admin.queryAnalytics({ query: "SELECT primary_email FROM users", timeout_ms: 10_000 });
    const now = performance.now();
    for (const { primary_email: email } of result) if (!stored.has(email)) stored.set(email, now);
    await new Promise((passed) => setTimeout(passed, 20));
  }
}

async function watchReceiver() {
  const deadline = performance.now() + PATIENCE;
  for (let next = 0; told.size < SIGN_UPS; ) {
    assert.ok(performance.now() < deadline, `only ${told.size} webhooks of ${SIGN_UPS} arrived`);
    await receiver.woken();
    const now = performance.now();
    for (; next < receiver.received.length; next += 1) {
      const { body, headers } = receiver.received[next];
      new Webhook(secret).verify(body, headers);
      const { type, data } = JSON.parse(body);
      assert.equal(type, "user.created");
      if (!told.has(data.primary_email)) told.set(data.primary_email, now);
    }
  }
}

await Promise.all([
  watchStore(),
  watchReceiver(),
  ...Array.from({ length: AT_ONCE }, (_, first) => signUpOneAfterTheOther(first)),
]);

for (const [what, seen] of [["row in the analytics store", stored], ["webhook, verified", told]]) {
  // What arrives before the answer has been read has no lag.
  const lags = [...answered].map(([email, at]) => Math.max(0, seen.get(email) - at));
  lags.sort((one, other) => one - other);
  const percentile = (share) => lags[Math.ceil(share * lags.length) - 1];
  console.log(
    `lag from sign-up to ${what}: p50 ${percentile(0.5).toFixed(0)} ms, p99 ${percentile(0.99).toFixed(0)} ms, ` +
      `${lags.length} sign-ups, ${AT_ONCE} at a time`,
  );
  assert.ok(percentile(0.99) < LONGEST, `p99 of ${what}: ${percentile(0.99)} ms`);
}

receiver.close();
console.log("all steps passed");
