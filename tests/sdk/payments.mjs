// Items, products and purchases through the published SDK.
//
// Reads what `scenario.mjs` reads, and MUNIMENT_ADMIN_KEY. The project must trust local hosts.

import assert from "node:assert/strict";
import { StackClientApp, StackServerApp } from "@stackframe/js";

const baseUrl = process.env.MUNIMENT_URL;
const projectId = process.env.MUNIMENT_PROJECT_ID;
const publishableClientKey = process.env.MUNIMENT_CLIENT_KEY;
const secretServerKey = process.env.MUNIMENT_SERVER_KEY;
const superSecretAdminKey = process.env.MUNIMENT_ADMIN_KEY;

const client = new StackClientApp({ baseUrl, projectId, publishableClientKey, tokenStore: "memory", noAutomaticPrefetch: true });
const server = new StackServerApp({ baseUrl, projectId, publishableClientKey, secretServerKey, tokenStore: null });

async function step(name, run) {
  try {
    await run();
    console.log(`ok   ${name}`);
  } catch (error) {
    console.log(`FAIL ${name}\n${error?.stack ?? error}`);
    process.exit(1);
  }
}

async function call(method, path, body, headers = {}) {
  const answer = await fetch(`${baseUrl}/api/v1${path}`, {
    method, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  return await answer.json();
}

await step("configures items and products", async () => {
  const settings = {
    "payments.items.credits": { displayName: "Credits", customerType: "user" },
    "payments.items.units": { customerType: "custom" },
    "payments.products.pro": {
      displayName: "Pro", customerType: "user", prices: { monthly: { USD: "9", interval: [1, "month"] } },
      includedItems: { credits: { quantity: 100, repeat: "never", expires: "when-purchase-expires" } },
    },
    "payments.products.pack": {
      displayName: "Pack", customerType: "user", stackable: true, prices: { once: { USD: "1" } },
      includedItems: { credits: { quantity: 10, expires: "never" } },
    },
  };
  await call("PATCH", "/internal/config/override/branch", { config_override_string: JSON.stringify(settings) }, {
    "x-stack-access-type": "admin", "x-stack-project-id": projectId, "x-stack-super-secret-admin-key": superSecretAdminKey,
  });
});

let user, serverUser;
await step("reads a new item as empty", async () => {
  const result = await client.signUpWithCredential({
    email: `pay-${Date.now()}@example.com`, password: "correct horse battery", noRedirect: true, noVerificationCallback: true,
  });
  assert.equal(result.status, "ok", JSON.stringify(result));
  user = await client.getUser({ or: "throw" });
  serverUser = await server.getUser(user.id);
  const item = await user.getItem("credits");
  assert.equal(item.displayName, "Credits");
  assert.equal(item.quantity, 0);
});

await step("increases and decreases a quantity", async () => {
  const item = await serverUser.getItem("credits");
  await item.increaseQuantity(5);
  await item.decreaseQuantity(7);
  const after = await serverUser.getItem("credits");
  assert.equal(after.quantity, -2);
  assert.equal(after.nonNegativeQuantity, 0);
  await after.increaseQuantity(3);
  const custom = await server.getItem({ itemId: "units", customCustomerId: "acme" });
  await custom.increaseQuantity(4);
  assert.equal((await server.getItem({ itemId: "units", customCustomerId: "acme" })).quantity, 4);
});

await step("tries to decrease a quantity", async () => {
  const item = await serverUser.getItem("credits");
  assert.equal(await item.tryDecreaseQuantity(2), false);
  assert.equal(await item.tryDecreaseQuantity(1), true);
  assert.equal((await serverUser.getItem("credits")).quantity, 0);
});

await step("grants and lists products", async () => {
  await serverUser.grantProduct({ productId: "pack", quantity: 2 });
  const products = await serverUser.listProducts();
  assert.deepEqual(products.map((product) => [product.id, product.quantity, product.displayName]), [["pack", 2, "Pack"]]);
  assert.equal((await serverUser.getItem("credits")).quantity, 20);
});

await step("checks out in test mode", async () => {
  const url = new URL(await user.createCheckoutUrl({ productId: "pro", returnUrl: "http://localhost:3000/done" }));
  assert.equal(url.searchParams.get("return_url"), "http://localhost:3000/done");
  const full_code = url.pathname.split("/").at(-1);
  const offer = await call("POST", "/payments/purchases/validate-code", { full_code });
  assert.equal(offer.product.display_name, "Pro");
  await call("POST", "/internal/payments/test-mode-purchase-session", { full_code, price_id: "monthly" });
  const products = await serverUser.listProducts();
  assert.deepEqual(products.map((product) => product.id), ["pack", "pro"]);
  assert.equal((await serverUser.getItem("credits")).quantity, 120);
});

console.log("all steps passed");
