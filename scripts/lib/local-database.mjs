// The local D1: migrations, and the demo apps as registered clients.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inRoot, readText, withTemporaryFolder } from "./paths.mjs";
import { step } from "./steps.mjs";
import { wrangler, wranglerOptions } from "./wrangler.mjs";

const text = (value) => `'${String(value).replaceAll("'", "''")}'`;

/** Registers the demo app, or puts its row right: its port may have changed since the last start. */
const registration = (demoUrl) => `
INSERT INTO clients (client_id, kind, name, home_page, redirect_uris, grant_types, token_endpoint_auth_method, created_at)
VALUES ('demo', 'registered', 'Demo chat', ${text(`${demoUrl}/`)}, ${text(JSON.stringify([`${demoUrl}/callback.html`]))},
  '["authorization_code","refresh_token"]', 'none', unixepoch())
ON CONFLICT (client_id) DO UPDATE SET
  name = excluded.name, home_page = excluded.home_page, redirect_uris = excluded.redirect_uris;
`;

/** Registers the command-line example, which has no address of its own. */
export const cliRegistration = `
INSERT INTO clients (client_id, kind, name, redirect_uris, grant_types, token_endpoint_auth_method, created_at)
VALUES ('demo-cli', 'registered', 'Demo command line', '[]',
  '["urn:ietf:params:oauth:grant-type:device_code","refresh_token"]', 'none', unixepoch())
ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, grant_types = excluded.grant_types;
`;

/** Asking wrangler takes seconds, so it is asked about migrations only when there are others than the last time. */
async function migrate(stateDir) {
  // wrangler.toml too: the database's id decides in which local file it lies.
  const hash = createHash("sha256").update(readText(inRoot("wrangler.toml")));
  for (const file of readdirSync(inRoot("migrations")).sort()) hash.update(file).update(readText(inRoot("migrations", file)));
  const stamp = join(stateDir, "migrations.applied");
  const wanted = hash.digest("hex");
  if (existsSync(stamp) && readText(stamp) === wanted) return;
  await step("database migrations", wrangler, ["d1", "migrations", "apply", "DB", "--local", "--persist-to", stateDir], {
    ...wranglerOptions,
    hint: "If a migration was edited after it had been applied, remove the state folder: this is local data.",
  });
  writeFileSync(stamp, wanted);
}

export async function prepareDatabase(stateDir, demoUrl) {
  mkdirSync(stateDir, { recursive: true });
  await migrate(stateDir);
  await withTemporaryFolder("sql", async (folder) => {
    const file = join(folder, "demo.sql");
    writeFileSync(file, registration(demoUrl) + cliRegistration);
    const args = ["d1", "execute", "DB", "--local", "--yes", "--persist-to", stateDir, "--file", file];
    await step("demo apps' registration", wrangler, args, wranglerOptions);
  });
}
