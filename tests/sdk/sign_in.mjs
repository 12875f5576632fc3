// What goes out by mail and comes back, through the published SDK: invitations, contact channels,
// sign-in links, new passwords; then the second factor, anonymous users and the command line.
//
// Reads what `scenario.mjs` reads, and MAILBOX_URL: `GET /<address>/<n>` there answers with the nth
// mail to that address, as soon as there is one, as `{subject, text, link, code}`. The project must
// trust localhost and offer sign-in by code.

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { StackClientApp, StackServerApp } from "@stackframe/js";
import { step } from "./step.mjs";

const baseUrl = process.env.MUNIMENT_URL;
const projectId = process.env.MUNIMENT_PROJECT_ID;
const publishableClientKey = process.env.MUNIMENT_CLIENT_KEY;
const secretServerKey = process.env.MUNIMENT_SERVER_KEY;
const mailboxUrl = process.env.MAILBOX_URL;

const callbackUrl = "http://localhost:3000/handler";
const password = "correct horse battery";
const newClient = (tokenStore = "memory") =>
  new StackClientApp({ baseUrl, projectId, publishableClientKey, tokenStore, noAutomaticPrefetch: true });
const server = new StackServerApp({ baseUrl, projectId, publishableClientKey, secretServerKey, tokenStore: null });
const newEmail = (name) => `${name}-${randomBytes(6).toString("hex")}@example.com`;

async function mail(address, nth = 1) {
  const answer = await fetch(`${mailboxUrl}/${encodeURIComponent(address)}/${nth}`);
  assert.equal(answer.status, 200);
  return await answer.json();
}

function assertOk(result) {
  assert.equal(result.status, "ok", JSON.stringify(result.error));
  return result.data;
}

/// Signs up in a client of its own.
async function signUp(email) {
  const client = newClient();
  assertOk(await client.signUpWithCredential({ email, password, noRedirect: true, noVerificationCallback: true }));
  return { client, user: await client.getUser({ or: "throw" }) };
}

/// RFC 6238 with the usual parameters.
function totp(secret) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac("sha1", secret).update(counter).digest();
  const offset = digest[19] & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

const ids = (items) => items.map((item) => item.id);
const found = (items, value) => items.find((item) => item.value === value);

const ownerEmail = newEmail("owner");
const guestEmail = newEmail("guest");
const owner = await signUp(ownerEmail);
const guest = await signUp(guestEmail);
let team;

await step("invites to a team by mail, and the guest joins with the code", async () => {
  team = await owner.user.createTeam({ displayName: "Makers" });
  await team.inviteUser({ email: guestEmail, callbackUrl });
  const [sent] = await team.listInvitations();
  assert.equal(sent.recipientEmail, guestEmail);
  const { code, link, subject } = await mail(guestEmail);
  assert.ok(link.startsWith(`${callbackUrl}?code=`), link);
  assert.ok(subject.includes("Makers"), subject);
  assertOk(await guest.client.verifyTeamInvitationCode(code));
  assert.equal(assertOk(await guest.client.getTeamInvitationDetails(code)).teamDisplayName, "Makers");
  assertOk(await guest.client.acceptTeamInvitation(code));
  assert.ok(ids(await guest.user.listTeams()).includes(team.id));
  assert.deepEqual(ids(await team.listUsers()).sort(), [owner.user.id, guest.user.id].sort());
  const again = await guest.client.acceptTeamInvitation(code);
  assert.equal(again.error.errorCode, "VERIFICATION_CODE_ALREADY_USED");
});

await step("takes an invitation back", async () => {
  const email = newEmail("nobody");
  await team.inviteUser({ email, callbackUrl });
  const { code } = await mail(email);
  const [sent] = await team.listInvitations();
  await sent.revoke();
  assert.deepEqual(await team.listInvitations(), []);
  const gone = await guest.client.acceptTeamInvitation(code);
  assert.equal(gone.error.errorCode, "VERIFICATION_CODE_NOT_FOUND");
});

const secondEmail = newEmail("second");
await step("adds, proves, promotes and removes an address", async () => {
  const added = await guest.user.createContactChannel({ type: "email", value: secondEmail, usedForAuth: false });
  assert.equal(added.isVerified, false);
  await added.sendVerificationEmail({ callbackUrl });
  const { code } = await mail(secondEmail);
  assertOk(await guest.client.verifyEmail(code));
  const proven = found(await guest.user.listContactChannels(), secondEmail);
  assert.equal(proven.isVerified, true);
  await proven.update({ usedForAuth: true, isPrimary: true });
  const user = await guest.client.getUser({ or: "throw" });
  assert.equal(user.primaryEmail, secondEmail);
  await found(await guest.user.listContactChannels(), guestEmail).delete();
  assert.deepEqual((await guest.user.listContactChannels()).map((channel) => channel.value), [secondEmail]);
});

await step("sees and accepts an invitation to a proven address", async () => {
  const serverTeam = await server.createTeam({ displayName: "Menders" });
  await serverTeam.inviteUser({ email: secondEmail, callbackUrl });
  const [received] = await guest.user.listTeamInvitations();
  assert.equal(received.teamDisplayName, "Menders");
  await received.accept();
  assert.ok(ids(await guest.user.listTeams()).includes(serverTeam.id));
  assert.deepEqual(await guest.user.listTeamInvitations(), []);
});

await step("signs up with a link, and in with a typed code", async () => {
  const email = newEmail("link");
  const first = newClient();
  assertOk(await first.sendMagicLinkEmail(email, { callbackUrl }));
  assertOk(await first.signInWithMagicLink((await mail(email)).code, { noRedirect: true }));
  const user = await first.getUser({ or: "throw" });
  assert.equal(user.primaryEmail, email);
  assert.equal(user.primaryEmailVerified, true);
  const second = newClient();
  const { nonce } = assertOk(await second.sendMagicLinkEmail(email, { callbackUrl }));
  const typed = (await mail(email, 2)).code.slice(0, 6).toUpperCase();
  assertOk(await second.signInWithMagicLink(typed + nonce, { noRedirect: true }));
  assert.equal((await second.getUser({ or: "throw" })).id, user.id);
});

await step("chooses a new password by mail", async () => {
  const client = newClient();
  assertOk(await client.sendForgotPasswordEmail(ownerEmail, { callbackUrl }));
  const { code } = await mail(ownerEmail);
  assertOk(await client.verifyPasswordResetCode(code));
  assertOk(await client.resetPassword({ code, password: "another horse battery" }));
  const old = await client.signInWithCredential({ email: ownerEmail, password, noRedirect: true });
  assert.equal(old.error.errorCode, "EMAIL_PASSWORD_MISMATCH");
  assertOk(await client.signInWithCredential({ email: ownerEmail, password: "another horse battery", noRedirect: true }));
  assert.equal((await client.getUser({ or: "throw" })).id, owner.user.id);
});

await step("signs in with a second factor", async () => {
  const email = newEmail("careful");
  const { user } = await signUp(email);
  const secret = randomBytes(20);
  await user.update({ totpMultiFactorSecret: new Uint8Array(secret) });
  // The SDK keeps the attempt's code in the browser's session storage before it changes the page.
  // There is no browser here, so the first factor is given without the SDK.
  const answer = await fetch(`${baseUrl}/api/v1/auth/password/sign-in`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-stack-access-type": "client",
      "x-stack-project-id": projectId,
      "x-stack-publishable-client-key": publishableClientKey,
    },
    body: JSON.stringify({ email, password }),
  });
  const refusal = await answer.json();
  assert.equal(refusal.code, "MULTI_FACTOR_AUTHENTICATION_REQUIRED");
  const client = newClient();
  const attempt = refusal.details.attempt_code;
  const wrong = await client.signInWithMfa("000000", attempt, { noRedirect: true });
  assert.equal(wrong.error.errorCode, "INVALID_TOTP_CODE");
  assertOk(await client.signInWithMfa(totp(secret), attempt, { noRedirect: true }));
  assert.equal((await client.getUser({ or: "throw" })).id, user.id);
});

await step("keeps an anonymous user's id when they sign up", async () => {
  const client = newClient();
  const anonymous = await client.getUser({ or: "anonymous" });
  assert.equal(anonymous.isAnonymous, true);
  assert.equal(await client.getUser(), null);
  const email = newEmail("somebody");
  assertOk(await client.signUpWithCredential({ email, password, noRedirect: true, noVerificationCallback: true }));
  const user = await client.getUser({ or: "throw" });
  assert.equal(user.id, anonymous.id);
  assert.deepEqual([user.isAnonymous, user.primaryEmail], [false, email]);
});

await step("signs a program in on the command line", async () => {
  const { refreshToken } = await guest.user.getAuthJson();
  const program = newClient();
  let confirmed;
  const result = await program.promptCliLogin({
    appUrl: "http://localhost:3000",
    // What the page behind the link does, once the user has agreed.
    promptLink: (url, loginCode) => {
      assert.equal(new URL(url).searchParams.get("login_code"), loginCode);
      confirmed = guest.client._interface.sendClientRequest("/auth/cli/complete", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ login_code: loginCode, refresh_token: refreshToken }),
      }, null);
    },
  });
  await confirmed;
  const token = assertOk(result);
  const signedIn = newClient({ accessToken: "", refreshToken: token });
  assert.equal((await signedIn.getUser({ or: "throw" })).id, guest.user.id);
});

console.log("all steps passed");
process.exit(0);
