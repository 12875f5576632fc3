// Items, products and purchases through the published SDK.
//
// Reads what `scenario.mjs` reads, and MUNIMENT_ADMIN_KEY. The project must trust local hosts, and
// the server pretend payments: STRIPE_SECRET_KEY=sk_test_mockstripekey.

import assert from "node:assert/strict";
import { StackAdminApp, StackClientApp, StackServerApp } from "@stackframe/js";

const baseUrl = process.env.MUNIMENT_URL;
const projectId = process.env.MUNIMENT_PROJECT_ID;
const publishableClientKey = process.env.MUNIMENT_CLIENT_KEY;
const secretServerKey = process.env.MUNIMENT_SERVER_KEY;
const superSecretAdminKey = process.env.MUNIMENT_ADMIN_KEY;

const client = new StackClientApp({ baseUrl, projectId, publishableClientKey, tokenStore: "memory", noAutomaticPrefetch: true });
const server = new StackServerApp({ baseUrl, projectId, publishableClientKey, secretServerKey, tokenStore: null });

const admin = new StackAdminApp({ baseUrl, projectId, publishableClientKey, secretServerKey, superSecretAdminKey, tokenStore: null });

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

await step("sets payments up", async () => {
  assert.equal(await admin.getStripeAccountInfo(), null);
  await assert.rejects(user.createCheckoutUrl({ productId: "pro" }));
  const { url } = await admin.setupPayments();
  assert.match(url, /^http/);
  const account = await (new StackAdminApp({ baseUrl, projectId, publishableClientKey, secretServerKey, superSecretAdminKey, tokenStore: null })).getStripeAccountInfo();
  assert.equal(account.charges_enabled, true);
  const methods = await admin.getPaymentMethodConfigs();
  const card = methods.methods.find((method) => method.id === "card");
  assert.equal(card.name, "Credit/Debit Card");
  await admin.updatePaymentMethodConfigs(methods.configId, { card: "on" });
  const session = await admin.createStripeWidgetAccountSession();
  assert.ok(session.client_secret);
});

await step("saves a card", async () => {
  const intent = await user.createPaymentMethodSetupIntent();
  assert.ok(intent.clientSecret);
  assert.ok(intent.stripeAccountId);
  const card = await user.setDefaultPaymentMethodFromSetupIntent(intent.clientSecret.split("_secret")[0]);
  assert.equal(card.last4, "4242");
  const billing = await user.getBilling();
  assert.equal(billing.hasCustomer, true);
  assert.equal(billing.defaultPaymentMethod.id, card.id);
});

await step("begins to pay", async () => {
  const full_code = new URL(await user.createCheckoutUrl({ productId: "pack" })).pathname.split("/").at(-1);
  const { client_secret } = await call("POST", "/payments/purchases/purchase-session", { full_code, price_id: "once", quantity: 2 });
  assert.match(client_secret, /^pi_/);
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
