// Manages endpoints with Svix's own client, unmodified, as the dashboard does.
import assert from "node:assert/strict";
import { ApiException, Svix, Webhook } from "svix";
import { openReceiver } from "./receiver.mjs";

const app = process.env.MUNIMENT_PROJECT_ID;
const answer = await fetch(`${process.env.MUNIMENT_URL}/api/v1/webhooks/svix-token`, {
  method: "POST",
  headers: {
    "content-type": "application/json",
    "x-stack-access-type": "admin",
    "x-stack-project-id": app,
    "x-stack-super-secret-admin-key": process.env.MUNIMENT_ADMIN_KEY,
  },
  body: "{}",
});
assert.equal(answer.status, 201);
const { token, url } = await answer.json();
assert.equal(url, undefined);
const svix = new Svix(token, { serverUrl: process.env.MUNIMENT_URL });

const receiver = await openReceiver();
const { received, url: hook } = receiver;
const until = async (what, holds) => {
  const deadline = Date.now() + 20_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `never happened: ${what}`);
    await receiver.woken();
  }
};

const application = await svix.application.getOrCreate({ name: "Test", uid: app });
assert.equal(application.uid, app);

const endpoint = await svix.endpoint.create(app, {
  url: hook,
  uid: "dashboard",
  description: "made by Svix's client",
  eventTypes: ["user.created", "stack.test"],
  metadata: { team: "billing" },
});
assert.ok(endpoint.createdAt instanceof Date);
assert.deepEqual(endpoint.eventTypes, ["user.created", "stack.test"]);
const listed = await svix.endpoint.list(app, { limit: 10 });
assert.deepEqual(listed.data.map(({ id }) => id), [endpoint.id]);
assert.equal(listed.done, true);
assert.deepEqual(await svix.endpoint.get(app, "dashboard"), endpoint);

await svix.endpoint.setHeaders(app, endpoint.id, { headers: { "x-from": "svix" } });
assert.deepEqual((await svix.endpoint.getHeaders(app, endpoint.id)).headers, { "x-from": "svix" });

const message = await svix.message.create(app, {
  eventType: "stack.test",
  eventId: "one",
  payload: { hello: "wörld" },
});
await until("the message arrives", () => received.length === 1);
const { key } = await svix.endpoint.getSecret(app, endpoint.id);
new Webhook(key).verify(received[0].body, received[0].headers);
assert.deepEqual(JSON.parse(received[0].body), { hello: "wörld" });
assert.equal(received[0].headers["x-from"], "svix");
assert.equal(received[0].headers["svix-id"], message.id);
const shown = await svix.message.get(app, "one", { withContent: true });
assert.deepEqual(shown.payload, { hello: "wörld" });

await until("the attempt is logged", async () => {
  const { data } = await svix.messageAttempt.listByEndpoint(app, endpoint.id);
  return data.length === 1;
});
await svix.messageAttempt.resend(app, message.id, endpoint.id);
await until("both attempts are logged", async () => {
  const { data } = await svix.messageAttempt.listByMsg(app, message.id);
  return data.length === 2;
});
const first = await svix.messageAttempt.listByEndpoint(app, endpoint.id, { limit: 1, withMsg: true, withContent: true });
assert.equal(first.data[0].status, 0);
assert.equal(first.data[0].statusText, "success");
assert.equal(first.data[0].triggerType, 1);
assert.equal(first.data[0].msg.eventType, "stack.test");
assert.equal(first.done, false);
const second = await svix.messageAttempt.listByEndpoint(app, endpoint.id, { limit: 1, iterator: first.iterator });
assert.equal(second.data[0].triggerType, 0);
const back = await svix.messageAttempt.listByEndpoint(app, endpoint.id, { limit: 1, iterator: second.prevIterator });
assert.equal(back.data[0].id, first.data[0].id);
assert.equal((await svix.endpoint.getStats(app, endpoint.id)).success, 1);

await svix.endpoint.rotateSecret(app, endpoint.id);
const rotated = (await svix.endpoint.getSecret(app, endpoint.id)).key;
assert.notEqual(rotated, key);
const since = new Date(Date.now() - 60_000);
assert.equal((await svix.endpoint.recover(app, endpoint.id, { since })).task, "endpoint.recover");
assert.equal((await svix.endpoint.replayMissing(app, endpoint.id, { since })).task, "endpoint.replay");

const refusal = async (status, call) => {
  const error = await call.then(() => assert.fail("was accepted"), (error) => error);
  assert.ok(error instanceof ApiException, String(error));
  assert.equal(error.code, status);
  return error.body;
};
assert.equal((await refusal(404, svix.endpoint.get(app, "ep_unknown"))).code, "not_found");
assert.equal((await refusal(404, svix.endpoint.list("another"))).code, "not_found");
const invalid = await refusal(422, svix.endpoint.create(app, { url: "nonsense" }));
assert.deepEqual(invalid.detail[0].loc, ["body", "url"]);
const stranger = new Svix("nonsense", { serverUrl: process.env.MUNIMENT_URL });
assert.equal((await refusal(401, stranger.endpoint.list(app))).code, "authentication_failed");

const replaced = await svix.endpoint.upsert(app, endpoint.id, { url: `${hook}/2`, disabled: true });
assert.equal(replaced.url, `${hook}/2`);
assert.equal((await svix.endpoint.patch(app, endpoint.id, { disabled: false })).disabled, false);
await svix.endpoint.delete(app, endpoint.id);
assert.deepEqual((await svix.endpoint.list(app)).data, []);

receiver.close();
console.log("all steps passed");
