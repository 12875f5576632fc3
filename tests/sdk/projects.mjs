// Projects and their configuration through the published SDK: what the dashboard does with them.
//
// Reads MUNIMENT_URL, the keys of the project `internal`, and MUNIMENT_OWNER_EMAIL and
// MUNIMENT_OWNER_PASSWORD of a user there who has a team.

import assert from "node:assert/strict";
import { StackAdminApp, StackClientApp, StackServerApp } from "@stackframe/js";
import { step } from "./step.mjs";

const baseUrl = process.env.MUNIMENT_URL;
const publishableClientKey = process.env.MUNIMENT_INTERNAL_CLIENT_KEY;
const dashboard = new StackClientApp({ baseUrl, projectId: "internal", publishableClientKey, tokenStore: "memory", noAutomaticPrefetch: true });

let owner, owned, keys, admin, project, team;
await step("creates a project and lists it", async () => {
  const result = await dashboard.signInWithCredential({
    email: process.env.MUNIMENT_OWNER_EMAIL, password: process.env.MUNIMENT_OWNER_PASSWORD, noRedirect: true,
  });
  assert.equal(result.status, "ok", JSON.stringify(result));
  owner = await dashboard.getUser({ or: "throw" });
  [team] = await owner.listTeams();
  owned = await owner.createProject({ displayName: "Shop", teamId: team.id, config: { magicLinkEnabled: true } });
  assert.equal(owned.displayName, "Shop");
  assert.equal(owned.config.magicLinkEnabled, true);
  assert.equal(owned.config.allowLocalhost, true);
  assert.ok((await owner.listOwnedProjects()).some((other) => other.id === owned.id));
});

await step("creates, lists and revokes keys as the owner", async () => {
  const expiresAt = new Date(Date.now() + 3_600_000);
  keys = await owned.app.createInternalApiKey({
    description: "all", expiresAt, hasPublishableClientKey: true, hasSecretServerKey: true, hasSuperSecretAdminKey: true,
  });
  const other = await owned.app.createInternalApiKey({
    description: "other", expiresAt, hasPublishableClientKey: true, hasSecretServerKey: false, hasSuperSecretAdminKey: false,
  });
  const listed = await owned.app.listInternalApiKeys();
  assert.deepEqual(listed.map((key) => key.description), ["other", "all"]);
  assert.equal(listed[1].secretServerKey.lastFour, keys.secretServerKey.slice(-4));
  assert.equal(listed[0].secretServerKey, null);
  await listed[0].revoke();
  assert.equal((await owned.app.listInternalApiKeys())[0].whyInvalid(), "manually-revoked");
  assert.equal(other.isValid(), true);
  admin = new StackAdminApp({ baseUrl, projectId: owned.id, ...keysOf(keys), tokenStore: null });
});

function keysOf({ publishableClientKey, secretServerKey, superSecretAdminKey }) {
  return { publishableClientKey, secretServerKey, superSecretAdminKey };
}

await step("updates the project and its settings", async () => {
  project = await admin.getProject();
  await project.update({
    displayName: "Market", description: "Sells things.", isProductionMode: true,
    config: {
      domains: [{ domain: "https://shop.example.com", handlerPath: "/handler" }, { domain: "https://*.example.org", handlerPath: "/h" }],
      oauthProviders: [{ id: "github", type: "standard", clientId: "i", clientSecret: "s" }, { id: "google", type: "shared" }],
      emailConfig: { type: "standard", host: "mail.example.com", port: 465, username: "u", password: "p", senderName: "Market", senderEmail: "m@example.com" },
      allowLocalhost: false, signUpEnabled: false, allowUserApiKeys: true,
    },
  });
  project = await admin.getProject();
  assert.equal(project.displayName, "Market");
  assert.equal(project.isProductionMode, true);
  assert.equal(project.config.signUpEnabled, false);
  assert.deepEqual(project.config.domains.map((entry) => entry.domain), ["https://*.example.org", "https://shop.example.com"]);
  assert.deepEqual(project.config.oauthProviders.map((provider) => provider.id), ["github", "google"]);
  assert.equal(project.config.emailConfig.host, "mail.example.com");
  assert.deepEqual(await project.getProductionModeErrors(), []);
});

await step("replaces its domains, and is told what production wants", async () => {
  await project.update({ config: { domains: [{ domain: "http://shop.example.com", handlerPath: "/handler" }], allowLocalhost: true } });
  project = await admin.getProject();
  assert.deepEqual(project.config.domains.map((entry) => entry.domain), ["http://shop.example.com"]);
  assert.equal((await project.getProductionModeErrors()).length, 2);
  await project.update({ config: { domains: [], allowLocalhost: false } });
  project = await admin.getProject();
  assert.deepEqual(project.config.domains, []);
  assert.deepEqual(await project.getProductionModeErrors(), []);
});

await step("demands publishable keys", async () => {
  const keyless = () => fetch(`${baseUrl}/api/v1/projects/current`, { headers: { "x-stack-access-type": "client", "x-stack-project-id": owned.id } });
  assert.equal((await keyless()).status, 200);
  await project.update({ requirePublishableClientKey: true });
  assert.equal((await keyless()).headers.get("x-stack-known-error"), "PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT");
  await project.update({ requirePublishableClientKey: false });
  assert.equal((await keyless()).status, 200);
});

await step("reads and writes the configuration", async () => {
  await project.updateConfig({ "teams.allowClientTeamCreation": true, "dataVault.stores.secrets": { displayName: "Secrets" } });
  const config = await project.getConfig();
  assert.equal(config.teams.allowClientTeamCreation, true);
  assert.equal(config.dataVault.stores.secrets.displayName, "Secrets");
  assert.equal(config.auth.allowSignUp, false);
  await project.pushConfig({ "users.allowClientUserDeletion": true }, { source: { type: "pushed-from-unknown" } });
  assert.equal((await project.getConfig()).users.allowClientUserDeletion, true);
  assert.equal((await project.getPushedConfigSource()).type, "pushed-from-unknown");
  await project.updatePushedConfig({ "auth.passkey.allowSignIn": true });
  assert.equal((await project.getConfig()).auth.passkey.allowSignIn, true);
  assert.deepEqual(await project.getConfigOverride("branch"), { "users.allowClientUserDeletion": true, "auth.passkey.allowSignIn": true });
  await project.resetConfigOverrideKeys("branch", ["auth"]);
  await project.resetConfigOverrideKeys("environment", ["auth.allowSignUp"]);
  assert.equal((await project.getConfig()).auth.passkey.allowSignIn, false);
  assert.equal((await project.getConfig()).auth.allowSignUp, true);
  await project.unlinkPushedConfigSource();
  assert.equal((await project.getPushedConfigSource()).type, "unlinked");
  await assert.rejects(project.updateConfig({ "auth.nothing": true }), /auth\.nothing/);
});

await step("defines permissions", async () => {
  await admin.createTeamPermissionDefinition({ id: "orders", description: "See orders.", containedPermissionIds: [] });
  assert.ok((await admin.listTeamPermissionDefinitions()).some((definition) => definition.id === "orders"));
  assert.equal((await project.getConfig()).rbac.permissions.orders.scope, "team");
  await admin.updateTeamPermissionDefinition("orders", { description: "See all orders.", containedPermissionIds: ["$read_members"] });
  assert.deepEqual((await project.getConfig()).rbac.permissions.orders.containedPermissionIds, { "$read_members": true });
  await admin.createProjectPermissionDefinition({ id: "support", containedPermissionIds: [] });
  await admin.updateProjectPermissionDefinition("support", { description: "Answer customers.", containedPermissionIds: [] });
  const [support] = await admin.listProjectPermissionDefinitions();
  assert.equal(support.description, "Answer customers.");
  await admin.deleteTeamPermissionDefinition("orders");
  await admin.deleteProjectPermissionDefinition("support");
  assert.ok(!(await admin.listTeamPermissionDefinitions()).some((definition) => definition.id === "orders"));
  assert.deepEqual(await admin.listProjectPermissionDefinitions(), []);
});

await step("gives the project to another team of the owner's, which has a plan of its own", async () => {
  assert.equal((await team.getItem("dashboard_admins")).quantity, 1);
  const other = await owner.createTeam({ displayName: "Others" });
  assert.equal((await other.getItem("dashboard_admins")).quantity, 1);
  await owner.transferProject(owned.id, other.id);
  const found = (await owner.listOwnedProjects()).find((each) => each.id === owned.id);
  assert.equal(found.ownerTeamId, other.id);
  assert.equal((await admin.getProject()).ownerTeamId, other.id);
});

await step("keeps sealed values in the data vault", async () => {
  const server = new StackServerApp({ baseUrl, projectId: owned.id, ...keysOf(keys), tokenStore: null });
  const store = await server.getDataVaultStore("secrets");
  const options = { secret: "only the application knows" };
  assert.equal(await store.getValue("card", options), null);
  await store.setValue("card", "4242", options);
  assert.equal(await store.getValue("card", options), "4242");
  await store.setValue("card", "4343", options);
  assert.equal(await (await server.getDataVaultStore("secrets")).getValue("card", options), "4343");
});

await step("deletes the project", async () => {
  await project.delete();
  const projects = await owner.listOwnedProjects();
  assert.ok(!projects.some((other) => other.id === owned.id));
});

console.log("all steps passed");
process.exit(0);
