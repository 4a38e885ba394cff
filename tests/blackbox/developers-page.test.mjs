import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, test } from "node:test";
import { parse } from "parse5";
import { ROOT, freePort, startBroker } from "../support/broker.mjs";
import { Browser } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser } = await startWorld();

/** The code of one language, as a person would copy it. */
function snippet(page, language) {
  const found = [];
  const visit = (node) => {
    if (node.tagName === "code" && node.attrs.some(({ value }) => value === `language-${language}`)) {
      found.push(node.childNodes.map(({ value }) => value).join(""));
    }
    node.childNodes?.forEach(visit);
  };
  visit(parse(page.html));
  assert.equal(found.length, 1, `${found.length} snippets in ${language}`);
  return found[0];
}

test("strangers and people who are signed in read the same page, and nothing personal is on it", async () => {
  const stranger = await new Browser(broker).get("/developers");
  assert.equal(stranger.status, 200);
  const { text } = await browser.get("/developers");
  const main = (html) => /<main[\s\S]*<\/main>/.exec(html)[0];
  assert.equal(main(text), main(stranger.text));
});

test("the metadata leads there, and so do the start page and the page of apps", async () => {
  const metadata = await (await fetch(`${broker.url}/.well-known/oauth-authorization-server`)).json();
  assert.equal(metadata.service_documentation, `${broker.url}/developers`);
  assert.ok((await new Browser(broker).get("/")).page.all("href").includes("/developers"));
  assert.ok((await browser.get("/apps")).page.all("href").includes("/developers"));
});

test("every link on it leads somewhere", async () => {
  const { page } = await browser.get("/developers");
  for (const href of page.all("href").filter((href) => href.startsWith("/") && !/\.(css|svg)$/.test(href))) {
    assert.ok((await browser.follow(href)).status < 400, href);
  }
});

test("the code names this broker", async () => {
  const { page } = await browser.get("/developers");
  for (const language of ["javascript", "python", "shell"]) assert.ok(snippet(page, language).includes(broker.url), language);
});

test("a broker that is reached by https is not told about requests in clear", async () => {
  const secure = await startBroker({ env: { ISSUER: "https://broker.example" } });
  after(() => secure.close());
  const response = await fetch(`${secure.url}/developers`);
  const text = await response.text();
  assert.ok(text.includes("https://broker.example") && !text.includes("allowInsecureRequests"));
});

/** Runs a program that connects, with a person who says yes; what it wrote. */
async function runWithPerson(command, args, env) {
  const port = await freePort();
  const app = await browser.register({ name: "From the page", redirectUris: ["http://127.0.0.1/callback"] });
  const child = spawn(command, args, { env: { ...process.env, CLIENT_ID: app.client_id, PORT: String(port), ...env } });
  let output = "";
  const asked = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
        const [, url] = /(http:\/\/\S+\/authorize\?\S+)\n/.exec(output) ?? [];
        if (url) resolve(url);
      });
    }
  });
  const ended = once(child, "close");
  const url = await Promise.race([asked, ended.then(() => assert.fail(`it ended before it asked:\n${output}`))]);
  const { page } = await browser.get(url);
  const { location } = await browser.submit(page.form("/authorize").press("decision", "allow"));
  assert.equal(location.port, String(port));
  // The program may not listen yet when it has printed the link.
  for (let tries = 0; ; tries += 1) {
    try {
      await (await fetch(location)).text();
      break;
    } catch (error) {
      if (tries > 100) throw error;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
  const [code] = await ended;
  assert.equal(code, 0, output);
  return output;
}

test("the JavaScript on the page runs as it stands: from discovery to an answer of a model", async () => {
  const { page } = await browser.get("/developers");
  // Where its imports are found.
  await mkdir(path.join(ROOT, "target"), { recursive: true });
  const folder = await mkdtemp(path.join(ROOT, "target", "developers-"));
  after(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, "connect.mjs");
  await writeFile(file, snippet(page, "javascript"));
  const output = await runWithPerson(process.execPath, [file]);
  const answer = output.trim().split("\n").at(-1);
  assert.ok(answer && !answer.startsWith("http"), output);
  const [grant] = await broker.sql("SELECT client_name, terms FROM grants ORDER BY created_at DESC LIMIT 1");
  assert.equal(grant.client_name, "From the page");
  assert.match(grant.terms, /gpt-5-mini/);
});

// A program of this kind needs packages that this project doesn't bring: PYTHON names an interpreter that has them.
test("the Python on the page runs as it stands", { skip: process.env.PYTHON ? false : "PYTHON is not set" }, async () => {
  const { page } = await browser.get("/developers");
  const folder = await mkdtemp(path.join(ROOT, "target", "developers-"));
  after(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, "connect.py");
  await writeFile(file, snippet(page, "python"));
  const output = await runWithPerson(process.env.PYTHON, [file], { PYTHONUNBUFFERED: "1" });
  assert.ok(output.trim().split("\n").length > 2, output);
});
