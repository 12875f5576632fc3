// Receives webhooks and verifies them with Svix's own package, unmodified.
import assert from "node:assert/strict";
import { Webhook } from "svix";
import { openReceiver } from "./receiver.mjs";

const base = `${process.env.MUNIMENT_URL}/api/v1`;
const call = async (kind, method, path, body) => {
  const keys = {
    client: ["x-stack-publishable-client-key", process.env.MUNIMENT_CLIENT_KEY],
    server: ["x-stack-secret-server-key", process.env.MUNIMENT_SERVER_KEY],
    admin: ["x-stack-super-secret-admin-key", process.env.MUNIMENT_ADMIN_KEY],
  };
  const answer = await fetch(base + path, {
    method,
    headers: {
      "content-type": "application/json",
      "x-stack-access-type": kind,
      "x-stack-project-id": process.env.MUNIMENT_PROJECT_ID,
      [keys[kind][0]]: keys[kind][1],
    },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
};

const receiver = await openReceiver();
const { received, url } = receiver;
const next = async (type) => {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const at = received.findIndex(({ body }) => JSON.parse(body).type === type);
    if (at >= 0) return received.splice(at, 1)[0];
    assert.ok(Date.now() < deadline, `no ${type} arrived`);
    await receiver.woken();
  }
};

const endpoint = await call("admin", "POST", "/internal/webhooks/endpoints", { url });
const path = `/internal/webhooks/endpoints/${endpoint.id}/secret`;
const { secret } = await call("admin", "GET", path);

const begun = Date.now();
const user = await call("server", "POST", "/users", { display_name: "Åda 🦀" });
const created = await next("user.created");
console.log(`delivered ${Date.now() - begun} ms after the request began`);
new Webhook(secret).verify(created.body, created.headers);
assert.deepEqual(JSON.parse(created.body).data, user);

// Under the names of Standard Webhooks, too.
const unbranded = Object.fromEntries(
  Object.entries(created.headers).filter(([name]) => name.startsWith("webhook-")),
);
new Webhook(secret).verify(created.body, unbranded);

assert.throws(() => new Webhook(secret).verify(created.body + " ", created.headers));
const other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
assert.throws(() => new Webhook(other).verify(created.body, created.headers));

// While a secret is rotated out, both verify.
const rotated = await call("admin", "POST", `${path}/rotate`, {});
const tested = await call("admin", "POST", "/internal/send-test-webhook", {
  endpoint_id: endpoint.id,
});
assert.deepEqual(tested, { success: true });
const test = await next("stack.test");
for (const key of [secret, rotated.secret]) new Webhook(key).verify(test.body, test.headers);

receiver.close();
console.log("all steps passed");
