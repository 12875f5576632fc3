// The published SDK against a Muniment server, as an application would use it.
//
// Reads MUNIMENT_URL, MUNIMENT_PROJECT_ID, MUNIMENT_CLIENT_KEY and MUNIMENT_SERVER_KEY; prints one
// line per step and ends with 1 at the first that fails. To run it by hand: start `muniment dev`,
// set these to what it prints, then `npm ci && npm test`.

import assert from "node:assert/strict";
import { StackClientApp, StackServerApp } from "@stackframe/js";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { step } from "./step.mjs";

const baseUrl = process.env.MUNIMENT_URL;
const projectId = process.env.MUNIMENT_PROJECT_ID;
const publishableClientKey = process.env.MUNIMENT_CLIENT_KEY;
const secretServerKey = process.env.MUNIMENT_SERVER_KEY;

const newClient = () =>
  new StackClientApp({ baseUrl, projectId, publishableClientKey, tokenStore: "memory", noAutomaticPrefetch: true });
const server = new StackServerApp({ baseUrl, projectId, publishableClientKey, secretServerKey, tokenStore: null });

const email = `sdk-${Date.now()}@example.com`;
const password = "correct horse battery";
const client = newClient();

await step("reads the project", async () => {
  const project = await client.getProject();
  assert.equal(project.id, projectId);
  assert.equal(project.config.credentialEnabled, true);
});

await step("is signed out at first", async () => {
  assert.equal(await client.getUser(), null);
});

await step("signs up with a password", async () => {
  const result = await client.signUpWithCredential({ email, password, noRedirect: true, noVerificationCallback: true });
  assert.equal(result.status, "ok", JSON.stringify(result));
});

await step("refuses the same address again", async () => {
  const result = await newClient().signUpWithCredential({ email, password, noRedirect: true, noVerificationCallback: true });
  assert.equal(result.status, "error");
  assert.equal(result.error.errorCode, "USER_EMAIL_ALREADY_EXISTS");
});

await step("refuses a short password", async () => {
  const result = await newClient().signUpWithCredential({
    email: `x${email}`, password: "short", noRedirect: true, noVerificationCallback: true,
  });
  assert.equal(result.error.errorCode, "PASSWORD_TOO_SHORT");
});

let user;
await step("reads the user", async () => {
  user = await client.getUser({ or: "throw" });
  assert.equal(user.primaryEmail, email);
  assert.equal(user.primaryEmailVerified, false);
  assert.equal(user.hasPassword, true);
});

await step("updates the user", async () => {
  await user.update({ displayName: "Ada", clientMetadata: { theme: "dark", nested: [1, { a: null }] } });
  const again = await client.getUser();
  assert.equal(again.displayName, "Ada");
  assert.deepEqual(again.clientMetadata, { theme: "dark", nested: [1, { a: null }] });
});

let team;
await step("creates and lists teams", async () => {
  team = await user.createTeam({ displayName: "Makers" });
  assert.equal(team.displayName, "Makers");
  const teams = await user.listTeams();
  assert.deepEqual(teams.map((each) => each.id), [team.id]);
});

await step("selects and renames a team", async () => {
  await user.setSelectedTeam(team);
  assert.equal((await client.getUser()).selectedTeam.id, team.id);
  await team.update({ displayName: "Makers and menders" });
  assert.equal((await user.getTeam(team.id)).displayName, "Makers and menders");
});

await step("lists its sessions", async () => {
  const sessions = await user.getActiveSessions();
  assert.equal(sessions.length, 1);
  assert.equal(sessions[0].isCurrentSession, true);
});

await step("gives access tokens that a foreign library verifies", async () => {
  const { accessToken } = await user.getAuthJson();
  const keys = createRemoteJWKSet(new URL(`${baseUrl}/api/v1/projects/${projectId}/.well-known/jwks.json`));
  const { payload } = await jwtVerify(accessToken, keys, { audience: projectId, algorithms: ["ES256"] });
  assert.equal(payload.sub, user.id);
  assert.ok(payload.iss.endsWith(`/api/v1/projects/${projectId}`));
  assert.equal(payload.role, "authenticated");
});

await step("refuses a wrong password and an unknown address alike", async () => {
  for (const wrong of [{ email, password: "not the password" }, { email: `nobody-${email}`, password }]) {
    const result = await newClient().signInWithCredential({ ...wrong, noRedirect: true });
    assert.equal(result.status, "error");
    assert.equal(result.error.errorCode, "EMAIL_PASSWORD_MISMATCH");
  }
});

await step("signs in a second time", async () => {
  const second = newClient();
  const result = await second.signInWithCredential({ email, password, noRedirect: true });
  assert.equal(result.status, "ok", JSON.stringify(result));
  assert.equal((await second.getUser()).id, user.id);
});

await step("keeps an anonymous user's id at sign-up", async () => {
  const visitor = newClient();
  const anonymous = await visitor.getUser({ or: "anonymous" });
  assert.equal(anonymous.isAnonymous, true);
  const result = await visitor.signUpWithCredential({
    email: `visitor-${email}`, password, noRedirect: true, noVerificationCallback: true,
  });
  assert.equal(result.status, "ok", JSON.stringify(result));
  assert.equal((await visitor.getUser()).id, anonymous.id);
});

await step("lists users from the server", async () => {
  const users = await server.listUsers({ query: email });
  assert.ok(users.some((each) => each.id === user.id));
  const page = await server.listUsers({ limit: 1 });
  assert.equal(page.length, 1);
  assert.ok(page.nextCursor);
});

let created;
await step("creates, reads and updates a user from the server", async () => {
  created = await server.createUser({
    primaryEmail: `created-${email}`, primaryEmailAuthEnabled: true, password, displayName: "Grace",
    serverMetadata: { plan: "pro" },
  });
  const read = await server.getUser(created.id);
  assert.equal(read.displayName, "Grace");
  assert.deepEqual(read.serverMetadata, { plan: "pro" });
  await read.update({ serverMetadata: { plan: "max" }, clientReadOnlyMetadata: { seats: 3 } });
  assert.deepEqual((await server.getUser(created.id)).clientReadOnlyMetadata, { seats: 3 });
  assert.equal(await server.getUser("6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de"), null);
});

await step("manages members from the server", async () => {
  const serverTeam = await server.getTeam(team.id);
  await serverTeam.addUser(created.id);
  assert.equal((await server.listUsers({ teamId: team.id })).length, 2);
  await serverTeam.removeUser(created.id);
  assert.equal((await server.listUsers({ teamId: team.id })).length, 1);
});

await step("impersonates a user", async () => {
  const session = await created.createSession({ expiresInMillis: 60_000, isImpersonation: true });
  const { accessToken } = await session.getTokens();
  assert.ok(accessToken);
});

await step("deletes a user from the server", async () => {
  await (await server.getUser(created.id)).delete();
  assert.equal(await server.getUser(created.id), null);
});

let tokens;
await step("signs out", async () => {
  tokens = await user.currentSession.getTokens();
  await client.signOut({ redirectUrl: "http://localhost:3000" });
  assert.equal(await client.getUser(), null);
});

await step("is refused a refresh afterwards", async () => {
  const response = await fetch(`${baseUrl}/api/v1/auth/sessions/current/refresh`, {
    method: "POST",
    headers: {
      "x-stack-access-type": "client",
      "x-stack-project-id": projectId,
      "x-stack-publishable-client-key": publishableClientKey,
      "x-stack-refresh-token": tokens.refreshToken,
    },
  });
  assert.equal(response.status, 401);
  assert.equal(response.headers.get("x-stack-known-error"), "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
});

console.log("all steps passed");
process.exit(0);
