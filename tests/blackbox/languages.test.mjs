// The language of the pages: what the browser asks for, what a person chose, and what no request may make of either.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser } from "../support/flow.mjs";
import { startWorld } from "../support/world.mjs";

const { broker, browser } = await startWorld();
const COOKIE = "__Host-aip-language";

const langOf = ({ text }) => /<html lang="(\w+)">/.exec(text)?.[1];
const choose = (person, language, returnTo, headers) =>
  person.post("/language", new URLSearchParams({ language, return_to: returnTo }), headers);

const KOREAN = { "accept-language": "ko-KR,ko;q=0.9,en;q=0.8" };

test("the browser's language is answered, on pages and on errors", async () => {
  for (const target of ["/", "/sign-in", "/developers", "/grants", "/nothing-here", "/authorize?client_id=nobody"]) {
    assert.equal(langOf(await new Browser(broker).get(target, KOREAN)), "ko", target);
    assert.equal(langOf(await new Browser(broker).get(target, { "accept-language": "fr" })), "en", target);
  }
});

test("an error is read in the language of the page", async () => {
  const { status, page } = await new Browser(broker).get("/nothing-here", KOREAN);
  assert.equal(status, 404);
  assert.match(page.text, /없/);
  assert.doesNotMatch(page.text, /Nothing is here|start page/);
});

test("what is wrong with a form is read in the language of the page", async () => {
  const { page } = await browser.get("/apps");
  const form = page.form("/apps").fill({ name: "A", home_page: "https://a.example", redirect_uris: "http://a.example/" });
  const answer = await browser.submit(form, { headers: KOREAN });
  assert.equal(answer.status, 400);
  assert.match(answer.page.text, /1번째 줄: http는 localhost/);
});

test("what was chosen by hand counts more, and leads back to where it was chosen", async () => {
  const person = new Browser(broker);
  const { status, location, headers } = await choose(person, "ko", "/developers?x=1");
  assert.equal(status, 303);
  assert.equal(location.href, `${broker.url}/developers?x=1`);
  const [line] = headers.getSetCookie();
  for (const part of [`${COOKIE}=ko`, "Path=/", "Secure", "HttpOnly", "SameSite=Lax"]) {
    assert.ok(line.split("; ").includes(part), `${part} in ${line}`);
  }
  assert.doesNotMatch(line, /domain/i);
  assert.equal(langOf(await person.get("/developers", { "accept-language": "en" })), "ko");
  await choose(person, "en", "/");
  assert.equal(langOf(await person.get("/", KOREAN)), "en");
});

test("a page offers the choice and comes back to itself", async () => {
  const { text } = await new Browser(broker).get("/developers?a=%22b&b=%27");
  const [, there] = /<form[^>]*action="\/language">\s*<input type="hidden" name="return_to" value="([^"]*)">/.exec(text);
  assert.equal(there.replaceAll("&#38;", "&"), "/developers?a=%22b&b=%27");
});

test("CWE-601: the way back never leaves the broker", async () => {
  for (const there of [
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\r\nlocation: https://evil.example",
    "javascript:alert(1)",
    "",
    `/${"a".repeat(20_000)}`,
  ]) {
    const { status, location, headers } = await choose(new Browser(broker), "ko", there);
    assert.equal(status, 303, there);
    assert.equal(location.href, `${broker.url}/`, there);
    assert.equal(headers.get("set-cookie").split(",").length, 1);
  }
});

test("a path that looks like another host is no way back and no way on", async () => {
  const { status, text } = await new Browser(broker).get(`${broker.url}//evil.example/x`);
  assert.equal(status, 404);
  assert.doesNotMatch(text, /(href|value)="\/\/evil/);
});

test("CSRF: another site can't choose for somebody", async () => {
  for (const headers of [{ origin: "https://evil.example" }, { origin: "null" }, { origin: undefined, "sec-fetch-site": "cross-site" }]) {
    const answer = await choose(new Browser(broker), "ko", "/", headers);
    assert.equal(answer.status, 403);
    assert.equal(answer.headers.get("set-cookie"), null);
  }
});

test("a language that isn't there is not remembered", async () => {
  for (const language of ["xx", "", "ko; Domain=evil.example", "<script>"]) {
    const answer = await choose(new Browser(broker), language, "/");
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.get("set-cookie"), null);
  }
  const person = new Browser(broker);
  person.cookies.set(COOKIE, "xx");
  assert.equal(langOf(await person.get("/", KOREAN)), "ko");
});

test("no cache keeps a page, so none gives it to somebody who reads another language", async () => {
  for (const target of ["/", "/developers", "/nothing-here", "/settings"]) {
    const { headers } = await browser.get(target);
    assert.equal(headers.get("cache-control"), "no-store", target);
  }
});

test("CWE-79: what a stranger puts into a path or a query is text on the page, in both languages", async () => {
  const markup = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`;
  const query = new URLSearchParams({ client_id: markup, redirect_uri: markup, x: markup });
  for (const target of [`/${encodeURIComponent(markup)}`, `/authorize?${query}`, `/sign-in?token=${encodeURIComponent(markup)}`, `/developers?${query}`]) {
    for (const headers of [{}, KOREAN]) {
      const answer = await new Browser(broker).get(target, headers);
      assert.ok(answer.page, target);
      const names = answer.page.elementNames();
      assert.ok(!names.has("script") && !names.has("img"), target);
      assert.match(answer.headers.get("content-security-policy"), /^default-src 'none'/);
    }
  }
});

test("whoever is signed in stays so on an error page", async () => {
  const { status, page } = await browser.get("/nothing-here");
  assert.equal(status, 404);
  assert.ok(page.all("href").includes("/settings"));
});

test("every error page has a way on that stays on the broker", async () => {
  const person = new Browser(broker);
  const answers = [
    await person.get("/nothing-here"),
    await person.get("/authorize?client_id=nobody"),
    await person.post("/developers", new URLSearchParams()),
    await person.post("/language", new URLSearchParams(), { origin: "https://evil.example" }),
    await browser.post("/apps", new URLSearchParams()),
    await person.post("/language", "x", { "content-type": "text/plain" }),
  ];
  assert.deepEqual(answers.map(({ status }) => status), [404, 400, 405, 403, 403, 400]);
  for (const { page, text } of answers) {
    const main = /<main[\s\S]*<\/main>/.exec(text)[0];
    const [, href] = /<a class="button primary" href="(\/[^"]*)"/.exec(main) ?? [];
    assert.ok(href && !href.startsWith("//"), page.text);
  }
});
