// The main job, by a client that is generated from the reference: everything here is checked by the
// compiler against /openapi.json, then run. See generated_client.mjs.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./reference.js";

const environment = (name: string): string => {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
};

const baseUrl = `${environment("MUNIMENT_URL")}/api/v1`;
const project = { "x-stack-project-id": environment("MUNIMENT_PROJECT_ID") };
const asClient = { ...project, "x-stack-access-type": "client", "x-stack-publishable-client-key": environment("MUNIMENT_CLIENT_KEY") };
const asServer = { ...project, "x-stack-access-type": "server", "x-stack-secret-server-key": environment("MUNIMENT_SERVER_KEY") };

const client = createClient<paths>({ baseUrl, headers: asClient });
const server = createClient<paths>({ baseUrl, headers: asServer });

// Signs up.
const email = `typed-${Date.now()}@example.com`;
const signUp = await client.POST("/auth/password/sign-up", { body: { email, password: "correct horse battery" } });
assert.ok(signUp.data, JSON.stringify(signUp.error));
const own = { "x-stack-access-token": signUp.data.access_token };

// Reads, and updates.
const me = await client.GET("/users/me", { headers: own });
assert.ok(me.data);
const primary: string | null = me.data.primary_email;
assert.equal(primary, email);
const renamed = await client.PATCH("/users/me", { headers: own, body: { display_name: "Ada" } });
assert.equal(renamed.data?.display_name, "Ada");

// A known error is known by its type.
const nobody = await server.GET("/users/{user_id}", { params: { path: { user_id: "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de" } } });
assert.ok(nobody.error);
const refusal: components["schemas"]["UserNotFound"] = nobody.error as components["schemas"]["UserNotFound"];
assert.equal(refusal.code, "USER_NOT_FOUND");

// Makes a team, and invites somebody.
const team = await client.POST("/teams", { headers: own, body: { display_name: "Makers", creator_user_id: "me" } });
assert.ok(team.data, JSON.stringify(team.error));
const invitation = await client.POST("/team-invitations/send-code", {
  headers: own,
  body: { team_id: team.data.id, email: `invited-${Date.now()}@example.com`, callback_url: "http://localhost:3000/join" },
});
assert.ok(invitation.data, JSON.stringify(invitation.error));

// Checks a permission.
const permissions = await server.GET("/team-permissions", {
  params: { query: { team_id: team.data.id, user_id: signUp.data.user_id, permission_id: "$update_team", recursive: true } },
});
assert.ok(permissions.data, JSON.stringify(permissions.error));
assert.deepEqual(permissions.data.items.map((permission) => permission.id), ["$update_team"]);

console.log("ok   the generated client does the main job");
