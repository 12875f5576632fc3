// Generates a client's types from the server's reference, compiles `generated_client.ts` against
// them as strictly as the compiler can, and runs it.
//
// Reads what `scenario.mjs` reads.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import { step } from "./step.mjs";

await step("generates the types", async () => {
  const reference = new URL("/openapi.json", process.env.MUNIMENT_URL);
  writeFileSync("reference.d.ts", astToString(await openapiTS(reference)));
});

await step("compiles", async () => {
  const flags = ["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--skipLibCheck"];
  const target = ["--module", "nodenext", "--moduleResolution", "nodenext", "--target", "es2022", "--types", "node"];
  try {
    execFileSync("npx", ["tsc", ...flags, ...target, "generated_client.ts", "--outDir", "generated"], { encoding: "utf8" });
  } catch (error) {
    throw new Error(error.stdout);
  }
});

await step("runs", async () => {
  execFileSync("node", ["generated/generated_client.js"], { stdio: "inherit" });
});

console.log("all steps passed");
