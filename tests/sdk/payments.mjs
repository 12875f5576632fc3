// Items, products and purchases through the published SDK.
//
// Reads what `scenario.mjs` reads, and MUNIMENT_ADMIN_KEY. The project must trust local hosts, and
// the server pretend payments: STRIPE_SECRET_KEY=sk_test_mockstripekey. What Stripe would tell is
// signed with STRIPE_WEBHOOK_SECRET.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { StackAdminApp, StackClientApp, StackServerApp } from "@stackframe/js";
import { step } from "./step.mjs";

const baseUrl = process.env.MUNIMENT_URL;
const projectId = process.env.MUNIMENT_PROJECT_ID;
const publishableClientKey = process.env.MUNIMENT_CLIENT_KEY;
const secretServerKey = process.env.MUNIMENT_SERVER_KEY;
const superSecretAdminKey = process.env.MUNIMENT_ADMIN_KEY;

const client = new StackClientApp({ baseUrl, projectId, publishableClientKey, tokenStore: "memory", noAutomaticPrefetch: true });
const server = new StackServerApp({ baseUrl, projectId, publishableClientKey, secretServerKey, tokenStore: null });

const admin = new StackAdminApp({ baseUrl, projectId, publishableClientKey, secretServerKey, superSecretAdminKey, tokenStore: null });

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
// The SDK remembers what it has read; a new app has read nothing.
async function afresh(read) {
  const app = new StackServerApp({ baseUrl, projectId, publishableClientKey, secretServerKey, tokenStore: null });
  return await read(await app.getUser(user.id));
}

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

// What Stripe would say of a subscription of the user, in an event of its own.
async function hear(type, product, object, { status = "active" } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const item = { quantity: 1, current_period_start: now, current_period_end: now + 86_400 };
  const subscription = {
    id: "sub_sdk", status, items: { data: [item] }, cancel_at_period_end: false,
    metadata: { productId: product.id, product: JSON.stringify(product), priceId: "monthly" },
  };
  const stack_stripe_mock_data = {
    "accounts.retrieve": { metadata: { tenancyId: projectId } },
    "customers.retrieve": { metadata: { customerId: user.id, customerType: "USER" } },
    "subscriptions.list": { data: [subscription] },
  };
  const event = JSON.stringify({
    id: `evt_${now}`, type, account: "acct_sdk", created: now,
    data: { object: { customer: "cus_sdk", ...object, stack_stripe_mock_data } },
  });
  const signature = createHmac("sha256", process.env.STRIPE_WEBHOOK_SECRET).update(`${now}.${event}`).digest("hex");
  const answer = await fetch(`${baseUrl}/api/v1/integrations/stripe/webhooks`, {
    method: "POST", body: event, headers: { "content-type": "application/json", "stripe-signature": `t=${now},v1=${signature}` },
  });
  assert.equal(answer.status, 200, await answer.text());
}

const plan = (id, usd, quantity) => ({
  id, displayName: id, customerType: "user", productLineId: "plans", prices: { monthly: { USD: usd, interval: [1, "month"] } },
  includedItems: { credits: { quantity, repeat: "never", expires: "when-purchase-expires" } },
});

await step("subscribes, and shows what was invoiced", async () => {
  const settings = { "payments.productLines.plans": { displayName: "Plans" } };
  for (const { id, ...rest } of [plan("small", "10", 1), plan("large", "30", 3)]) {
    settings[`payments.products.${id}`] = rest;
  }
  await call("PATCH", "/internal/config/override/branch", { config_override_string: JSON.stringify(settings) }, {
    "x-stack-access-type": "admin", "x-stack-project-id": projectId, "x-stack-super-secret-admin-key": superSecretAdminKey,
  });
  const line = { description: "small", quantity: 1, parent: { subscription_item_details: { subscription: "sub_sdk" } } };
  await hear("invoice.payment_succeeded", plan("small", "10", 1), {
    id: "in_sdk", status: "paid", total: 1000, amount_paid: 1000, currency: "usd", billing_reason: "subscription_create",
    hosted_invoice_url: "https://invoice.example.com/in_sdk", lines: { data: [line] },
  });
  const [invoice, ...others] = await user.listInvoices();
  assert.deepEqual(others, []);
  assert.deepEqual(
    [invoice.status, invoice.amountTotal, invoice.hostedInvoiceUrl],
    ["paid", 1000, "https://invoice.example.com/in_sdk"],
  );
  const products = await afresh((it) => it.listProducts());
  const small = products.find((product) => product.id === "small");
  assert.equal(small.type, "subscription");
  assert.deepEqual(small.switchOptions.map((option) => option.productId), ["large"]);
});

await step("switches a subscription", async () => {
  const { quantity } = await afresh((it) => it.getItem("credits"));
  await user.switchSubscription({ fromProductId: "small", toProductId: "large" });
  const owned = (await afresh((it) => it.listProducts())).map((product) => product.id);
  assert.ok(owned.includes("large") && !owned.includes("small"), JSON.stringify(owned));
  assert.equal((await afresh((it) => it.getItem("credits"))).quantity, quantity + 2);
});

await step("cancels a subscription", async () => {
  await client.cancelSubscription({ productId: "large" });
  await hear("customer.subscription.deleted", plan("large", "30", 3), {}, { status: "canceled" });
  const large = (await afresh((it) => it.listProducts())).find((product) => product.id === "large");
  assert.equal(large.type, "one_time", "it runs until what is paid has passed");
});

await step("lists transactions", async () => {
  const { transactions } = await admin.listTransactions({ limit: 100 });
  const bought = transactions.find((transaction) => transaction.entries.some((entry) => entry.product_id === "large"));
  assert.equal(bought.type, "purchase");
  const money = bought.entries.find((entry) => entry.type === "money_transfer");
  assert.deepEqual(money.charged_amount, { USD: "30" });
});

console.log("all steps passed");
