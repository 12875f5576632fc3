// Permissions, member profiles, API keys and notification categories through the published SDK.
//
// Reads what `scenario.mjs` reads, and MUNIMENT_ADMIN_KEY. The project must allow API keys of users
// and teams.

import assert from "node:assert/strict";
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

const ids = (items) => items.map((item) => item.id);
const found = (items, id) => items.find((item) => item.id === id);

await step("defines, replaces and lists permissions", async () => {
  await admin.createTeamPermissionDefinition({ id: "posts:read", description: "Read posts.", containedPermissionIds: [] });
  await admin.createTeamPermissionDefinition({ id: "posts:write", containedPermissionIds: ["posts:read", "$update_team"] });
  await admin.updateTeamPermissionDefinition("posts:read", { description: "Read all posts.", containedPermissionIds: [] });
  const definitions = await admin.listTeamPermissionDefinitions();
  assert.equal(found(definitions, "posts:read").description, "Read all posts.");
  assert.deepEqual(found(definitions, "posts:write").containedPermissionIds, ["$update_team", "posts:read"]);
  assert.ok(found(definitions, "$manage_api_keys").description);
  await admin.createProjectPermissionDefinition({ id: "reports", containedPermissionIds: [] });
  assert.deepEqual(ids(await admin.listProjectPermissionDefinitions()), ["reports"]);
});

let user, serverUser, team, serverTeam;
await step("signs up and joins a team", async () => {
  const result = await client.signUpWithCredential({
    email: `rbac-${Date.now()}@example.com`, password: "correct horse battery", noRedirect: true, noVerificationCallback: true,
  });
  assert.equal(result.status, "ok", JSON.stringify(result));
  user = await client.getUser({ or: "throw" });
  serverUser = await server.getUser(user.id);
  serverTeam = await server.createTeam({ displayName: "Makers" });
  await serverTeam.addUser(user.id);
  team = await user.getTeam(serverTeam.id);
});

await step("grants, checks and revokes permissions in a team", async () => {
  assert.equal(await serverUser.hasPermission(serverTeam, "posts:read"), false);
  await serverUser.grantPermission(serverTeam, "posts:write");
  assert.equal(await serverUser.hasPermission(serverTeam, "posts:read"), true);
  assert.equal(await user.hasPermission(team, "posts:read"), true);
  const direct = await user.listPermissions(team, { recursive: false });
  assert.deepEqual(ids(direct), ["posts:write", "team_member"]);
  assert.ok(ids(await user.listPermissions(team)).includes("$update_team"));
  await serverUser.revokePermission(serverTeam, "posts:write");
  assert.equal(await serverUser.hasPermission(serverTeam, "posts:write"), false);
});

await step("grants, checks and revokes permissions in the project", async () => {
  await serverUser.grantPermission("reports");
  assert.equal(await user.hasPermission("reports"), true);
  assert.deepEqual(ids(await serverUser.listPermissions()), ["reports"]);
  await serverUser.revokePermission("reports");
  assert.equal(await serverUser.hasPermission("reports"), false);
});

await step("changes how a member appears in a team", async () => {
  await user.update({ displayName: "Ada" });
  const profile = await user.getTeamProfile(team);
  assert.equal(profile.displayName, "Ada");
  await profile.update({ displayName: "Countess" });
  assert.equal((await user.getTeamProfile(team)).displayName, "Countess");
  const members = await team.listUsers();
  assert.deepEqual(members.map((member) => member.teamProfile.displayName), ["Countess"]);
  const seen = await serverTeam.listUsers();
  assert.equal(seen[0].displayName, "Ada");
  assert.equal(seen[0].teamProfile.displayName, "Countess");
});

await step("issues, uses and revokes a user's API key", async () => {
  const key = await user.createApiKey({ description: "laptop", expiresAt: new Date(Date.now() + 60_000) });
  assert.match(key.value, /^sk_/);
  assert.equal((await server.getUser({ apiKey: key.value })).id, user.id);
  const [listed] = await user.listApiKeys();
  assert.equal(listed.id, key.id);
  assert.equal(listed.value.lastFour, key.value.slice(-4));
  assert.equal(listed.isValid(), true);
  await listed.update({ description: "desktop" });
  await listed.revoke();
  const [revoked] = await user.listApiKeys();
  assert.equal(revoked.description, "desktop");
  assert.equal(revoked.whyInvalid(), "manually-revoked");
  assert.equal(await server.getUser({ apiKey: key.value }), null);
  assert.equal(await server.getUser({ apiKey: "sk_nonsense" }), null);
});

await step("issues and uses a team's API key", async () => {
  await serverUser.grantPermission(serverTeam, "$manage_api_keys");
  const key = await team.createApiKey({ description: "ci", expiresAt: null, isPublic: true });
  assert.match(key.value, /^pk_/);
  assert.equal((await server.getTeam({ apiKey: key.value })).id, team.id);
  assert.deepEqual(ids(await team.listApiKeys()), [key.id]);
  assert.equal(await server.getUser({ apiKey: key.value }), null);
});

await step("switches a category of mails off", async () => {
  const categories = await serverUser.listNotificationCategories();
  assert.deepEqual(categories.map((each) => [each.name, each.enabled]), [["Transactional", true], ["Marketing", true]]);
  await categories[1].setEnabled(false);
  const again = await serverUser.listNotificationCategories();
  assert.equal(again[1].enabled, false);
});

await step("removes definitions", async () => {
  await admin.deleteTeamPermissionDefinition("posts:read");
  await admin.deleteProjectPermissionDefinition("reports");
  const left = await admin.listTeamPermissionDefinitions();
  assert.deepEqual(found(left, "posts:write").containedPermissionIds, ["$update_team"]);
  assert.equal(found(left, "posts:read"), undefined);
});

console.log("all steps passed");
process.exit(0);
