// Images, speech, transcription and embeddings, through the official package, unchanged but for base URL and token: what passes, what
// is refused, and what is booked.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { test } from "node:test";
import OpenAI, { toFile } from "openai";
import { assertOpenAiError, call } from "../support/flow.mjs";
import { startWorld, until } from "../support/world.mjs";

const { broker, browser, app, standin } = await startWorld();
const latest = () => standin.requests.at(-1);

/** An SDK for a new grant. */
async function connect(capabilities, limits) {
  const details = [{ type: "ai_access", provider: "openai", models: ["*"], capabilities, ...(limits && { limits }) }];
  const { grant_id: grantId, ...grant } = await browser.grant(app, { details, money: Boolean(limits?.budget_usd) });
  const [{ base_url: baseURL }] = grant.authorization_details;
  const client = new OpenAI({ baseURL, apiKey: grant.access_token, maxRetries: 0 });
  return Object.assign(client, { grantId, token: grant.access_token });
}

/** What was booked for the calls of a grant, once there are so many. */
async function booked({ grantId }, count = 1) {
  const query = `SELECT model, endpoint, nano_usd, tokens, input_tokens, output_tokens, basis, status
    FROM usage_events WHERE grant_id = ? ORDER BY hold`;
  return until(async () => {
    const rows = await broker.sql(query, grantId);
    return rows.length >= count && rows;
    // Told to D1 in batches, and again later where that failed.
  }, `${count} calls are booked`, { seconds: 40 });
}

async function refusal(calling, status, code) {
  const before = standin.requests.length;
  const error = await calling().then(
    () => assert.fail("it was not refused"),
    (error) => error,
  );
  assert.ok(error instanceof OpenAI.APIError, error);
  assert.deepEqual([error.status, error.code], [status, code], error.message);
  assert.equal(standin.requests.length, before, "nothing went upstream");
  return error;
}

const MICRO = 1_000;
const sound = randomBytes(50_000);
const recording = () => toFile(sound, "recording.mp3", { type: "audio/mpeg" });
const picture = (name = "picture.png") => toFile(randomBytes(3_000), name, { type: "image/png" });

// Every call that the SDK makes of these endpoints, by the capability that it takes.
const CALLS = {
  images: {
    generate: (client) => client.images.generate({ model: "gpt-image-1", prompt: "a dog" }),
    edit: async (client) => client.images.edit({ model: "gpt-image-1", prompt: "a cat", image: await picture() }),
  },
  audio: {
    speech: (client) => client.audio.speech.create({ model: "tts-1", voice: "ash", input: "hello" }),
    transcription: async (client) => client.audio.transcriptions.create({ model: "whisper-1", file: await recording() }),
    translation: async (client) => client.audio.translations.create({ model: "whisper-1", file: await recording() }),
  },
};

for (const [capability, calls] of Object.entries(CALLS)) {
  test(`${Object.keys(calls).join(", ")}: allowed with ${capability}, refused without`, async () => {
    const others = ["chat", "embeddings", "images", "audio", "moderation", "server_tools"].filter((one) => one !== capability);
    const [allowed, refused] = [await connect([capability]), await connect(others)];
    for (const make of Object.values(calls)) {
      await make(allowed);
      const error = await refusal(() => make(refused), 403, "capability_not_granted");
      assert.ok(error instanceof OpenAI.PermissionDeniedError);
      assert.match(error.message, new RegExp(capability));
    }
  });
}

test("a model that is not granted is refused, also where a form names it", async () => {
  const details = [{ type: "ai_access", provider: "openai", models: ["gpt-4o-*"], capabilities: ["audio"] }];
  const { access_token: apiKey } = await browser.grant(app, { details });
  const client = new OpenAI({ baseURL: `${broker.url}/openai/v1`, apiKey, maxRetries: 0 });
  await client.audio.transcriptions.create({ model: "gpt-4o-transcribe", file: await recording() });
  const file = await recording();
  await refusal(() => client.audio.transcriptions.create({ model: "whisper-1", file }), 403, "model_not_granted");
});

// Images.

test("images come back whole, and are booked by what the answer says", async () => {
  const client = await connect(["images"]);
  const answer = await client.images.generate({ model: "gpt-image-1", prompt: "a dog", n: 2, quality: "low" });
  assert.equal(answer.data.length, 2);
  assert.ok(Buffer.from(answer.data[0].b64_json, "base64").subarray(1, 4).equals(Buffer.from("PNG")));
  const [row] = await booked(client);
  const { input_tokens: read, output_tokens: written } = answer.usage;
  assert.deepEqual([row.endpoint, row.basis, row.status], ["/v1/images/generations", "usage", 200]);
  assert.deepEqual([row.input_tokens, row.output_tokens], [read, written]);
  assert.equal(row.nano_usd, read * 5 * MICRO + written * 40 * MICRO);
});

test("long images pass as they are", async () => {
  const client = await connect(["images"]);
  const answer = await client.images.generate({ model: "gpt-image-1", prompt: "a dog standin:chunks=1000000", n: 2 });
  assert.ok(answer.data.every(({ b64_json: image }) => image.length > 4_000_000));
  const [row] = await booked(client);
  assert.deepEqual([row.basis, row.output_tokens], ["usage", answer.usage.output_tokens]);
});

test("images, streamed with previews", async () => {
  const client = await connect(["images"]);
  const request = { model: "gpt-image-1", prompt: "a dog", quality: "low", stream: true, partial_images: 2 };
  const events = [];
  for await (const event of await client.images.generate(request)) events.push(event);
  const previews = ["image_generation.partial_image", "image_generation.partial_image"];
  assert.deepEqual(
    events.map(({ type }) => type),
    [...previews, "image_generation.completed"],
  );
  const [row] = await booked(client);
  const { usage } = events.at(-1);
  assert.deepEqual([row.input_tokens, row.output_tokens], [usage.input_tokens, usage.output_tokens]);
});

test("under a budget images are bound by their number, and booked exactly", async () => {
  const client = await connect(["images"], { budget_usd: "0.60" });
  const prompt = "a dog";
  // The largest image costs 0.2616 USD.
  const error = await refusal(() => client.images.generate({ model: "gpt-image-1", prompt, n: 3 }), 402, "budget_exhausted");
  assert.equal(error.error.aipassport.limit, "budget_usd");
  const { usage } = await client.images.generate({ model: "gpt-image-1", prompt, n: 2, quality: "low" });
  const [row] = await booked(client);
  assert.deepEqual([row.basis, row.nano_usd], ["usage", usage.input_tokens * 5 * MICRO + usage.output_tokens * 40 * MICRO]);
  // What the answer left free is free again.
  const { response } = await client.images.generate({ model: "gpt-image-1", prompt, n: 2 }).withResponse();
  assert.ok(Number(response.headers.get("aipassport-budget-remaining-usd")) < 0.06);
});

test("an image that breaks off on its way is booked at the most that it can cost", async () => {
  const client = await connect(["images"], { budget_usd: "5" });
  await assert.rejects(client.images.generate({ model: "gpt-image-1", prompt: "a dog standin:break=1" }));
  const [row] = await booked(client);
  assert.equal(row.basis, "bound");
  // 6,540 tokens at 40 USD a million, and what is read.
  assert.ok(row.nano_usd >= 261_600_000 && row.nano_usd < 280_000_000, String(row.nano_usd));
});

test("under a budget an image whose most is not known is refused, and the text says why", async () => {
  const client = await connect(["images"], { budget_usd: "5" });
  for (const more of [{ model: "gpt-image-2" }, { output_format: "gif" }, { output_format: "svg", svg: { model: "gpt-5.1" } }]) {
    const request = { model: "gpt-image-1", prompt: "a dog", ...more };
    const error = await refusal(() => client.images.generate(request), 403, "price_unknown");
    assert.match(error.message, /max_output|output_format/);
  }
  const image = await picture();
  const edit = { model: "gpt-image-1", prompt: "a cat", image };
  assert.match((await refusal(() => client.images.edit(edit), 403, "price_unknown")).message, /reads at most is not known/);
});

test("an edit with several images and a mask goes up byte for byte, and is booked", async () => {
  const client = await connect(["images"]);
  const image = [await picture("a.png"), await picture("b ü.png")];
  const request = { model: "gpt-image-1", prompt: "a cat", image, mask: await picture("mask.png"), n: 1, quality: "low" };
  const answer = await client.images.edit(request);
  const { body, files } = latest();
  assert.deepEqual(body, { model: "gpt-image-1", prompt: "a cat", n: "1", quality: "low" });
  assert.deepEqual(
    files["image[]"].map(({ name, size }) => [name, size]),
    [
      ["a.png", 3_000],
      ["b ü.png", 3_000],
    ],
  );
  assert.equal(files.mask.length, 1);
  const [row] = await booked(client);
  const { input_tokens_details: read, output_tokens: written } = answer.usage;
  assert.equal(row.nano_usd, read.text_tokens * 5 * MICRO + read.image_tokens * 10 * MICRO + written * 40 * MICRO);
});

test("an edit, streamed", async () => {
  const client = await connect(["images"]);
  const request = { model: "gpt-image-1", prompt: "a cat", image: await picture(), stream: true, partial_images: 1 };
  const types = [];
  for await (const { type } of await client.images.edit(request)) types.push(type);
  assert.deepEqual(types, ["image_edit.partial_image", "image_edit.completed"]);
  const [row] = await booked(client);
  assert.deepEqual([row.endpoint, row.basis], ["/v1/images/edits", "usage"]);
  assert.ok(row.output_tokens > 0);
});

// Speech.

test("speech comes back as sound, and is booked by the characters of its text", async () => {
  for (const limits of [undefined, { budget_usd: "0.01" }]) {
    const client = await connect(["audio"], limits);
    const input = "Grüß dich 🚀!";
    const answer = await client.audio.speech.create({ model: "tts-1", voice: "ash", input });
    assert.equal(answer.headers.get("content-type"), "audio/mpeg");
    assert.equal(Buffer.from(await answer.arrayBuffer()).subarray(0, 3).toString(), "ID3");
    const [row] = await booked(client);
    assert.deepEqual([row.endpoint, row.basis, row.nano_usd], ["/v1/audio/speech", "usage", input.length * 15 * MICRO]);
  }
});

test("speech that does not fit in the budget is refused", async () => {
  const client = await connect(["audio"], { budget_usd: "0.001" });
  const speak = (input) => client.audio.speech.create({ model: "tts-1", voice: "ash", input });
  await refusal(() => speak("x".repeat(100)), 402, "budget_exhausted");
});

test("sound passes as it comes, before it is over", async () => {
  const client = await connect(["audio"]);
  const input = "standin:chunks=4 standin:slow=700";
  const began = Date.now();
  const answer = await client.audio.speech.create({ model: "tts-1", voice: "ash", input });
  const reader = answer.body.getReader();
  await reader.read();
  assert.ok(Date.now() - began < 1500, "the first piece came before the last was made");
  while (!(await reader.read()).done);
  assert.ok(Date.now() - began > 1800);
});

test("a listener who leaves stops the sound upstream, and is booked all the same", async () => {
  const client = await connect(["audio"]);
  const input = "standin:chunks=200 standin:slow=50";
  const answer = await client.audio.speech.create({ model: "tts-1", voice: "ash", input });
  const it = latest();
  const reader = answer.body.getReader();
  await reader.read();
  await reader.cancel();
  await until(() => it.aborted, "the provider is hung up on", { seconds: 5 });
  const [row] = await booked(client);
  assert.deepEqual([row.basis, row.nano_usd], ["usage", input.length * 15 * MICRO]);
});

test("speech as events, which say what was used", async () => {
  const client = await connect(["audio"]);
  const request = { model: "gpt-4o-mini-tts", voice: "ash", input: "hello", stream_format: "sse" };
  const answer = await client.audio.speech.create(request);
  const events = [...(await answer.text()).matchAll(/^data: (.*)$/gm)].map(([, text]) => JSON.parse(text));
  const { type, usage } = events.at(-1);
  assert.equal(type, "speech.audio.done");
  const [row] = await booked(client);
  assert.deepEqual([row.input_tokens, row.output_tokens], [usage.input_tokens, usage.output_tokens]);
  assert.equal(row.nano_usd, usage.input_tokens * 600 + usage.output_tokens * 12_000);
});

test("under a budget speech that is billed by its length is refused", async () => {
  const client = await connect(["audio"], { budget_usd: "5" });
  const request = { model: "gpt-4o-mini-tts", voice: "ash", input: "hello" };
  const error = await refusal(() => client.audio.speech.create(request), 403, "price_unknown");
  assert.match(error.message, /writes at most is not known/);
});

test("a voice that is stored at the provider is refused", async () => {
  const client = await connect(["audio"]);
  const request = { model: "tts-1", voice: { id: "voice_1234" }, input: "hello" };
  await refusal(() => client.audio.speech.create(request), 403, "field_not_allowed");
});

// Transcription.

test("a transcription says its text, and is booked by the length that the answer says", async () => {
  const client = await connect(["audio"]);
  const answer = await client.audio.transcriptions.create({ model: "whisper-1", file: await recording() });
  assert.ok(answer.text.length > 0);
  assert.deepEqual(latest().files.file, [{ name: "recording.mp3", type: "audio/mpeg", size: sound.length }]);
  const [row] = await booked(client);
  assert.deepEqual([row.endpoint, row.basis], ["/v1/audio/transcriptions", "usage"]);
  assert.equal(row.nano_usd, answer.usage.seconds * 100 * MICRO);
});

test("a transcription that is billed by tokens, with what the SDK can ask for", async () => {
  const client = await connect(["audio"]);
  const answer = await client.audio.transcriptions.create({
    model: "gpt-4o-transcribe",
    file: await recording(),
    language: "en",
    prompt: "{ dogs",
    include: ["logprobs"],
    temperature: 0.2,
    chunking_strategy: { type: "server_vad", threshold: 0.5 },
  });
  const [row] = await booked(client);
  const { input_tokens: read, output_tokens: written } = answer.usage;
  assert.deepEqual([row.input_tokens, row.output_tokens], [read, written]);
  assert.equal(row.nano_usd, read * 6 * MICRO + written * 10 * MICRO);
});

test("a transcription, streamed", async () => {
  const client = await connect(["audio"]);
  const request = { model: "gpt-4o-transcribe", file: await recording(), stream: true };
  let text = "";
  let last;
  for await (const event of await client.audio.transcriptions.create(request)) {
    if (event.type === "transcript.text.delta") text += event.delta;
    last = event;
  }
  assert.deepEqual([last.type, last.text], ["transcript.text.done", text]);
  const [row] = await booked(client);
  assert.deepEqual([row.input_tokens, row.output_tokens], [last.usage.input_tokens, last.usage.output_tokens]);
});

test("subtitles come back as text", async () => {
  const client = await connect(["audio"]);
  const file = await recording();
  const subtitles = await client.audio.transcriptions.create({ model: "whisper-1", file, response_format: "srt" });
  assert.match(subtitles, /-->/);
  const again = { model: "whisper-1", file: await recording(), response_format: "verbose_json" };
  assert.equal((await client.audio.translations.create(again)).task, "translate");
  const [row] = await booked(client, 2);
  assert.deepEqual([row.status, row.nano_usd], [200, 0], "nobody said what it used");
});

test("a file that is read from disk as it goes, without a length", async () => {
  const client = await connect(["audio"]);
  const file = createReadStream(import.meta.filename);
  await client.audio.transcriptions.create({ model: "whisper-1", file });
  assert.equal(latest().files.file[0].name, "openai-media.test.mjs");
});

test("under a budget or a limit of tokens a transcription is refused, and the text says why", async () => {
  for (const limits of [{ budget_usd: "5" }, { tokens: 1_000_000 }]) {
    const client = await connect(["audio"], limits);
    for (const model of ["whisper-1", "gpt-4o-transcribe"]) {
      const file = await recording();
      const error = await refusal(() => client.audio.transcriptions.create({ model, file }), 403, "price_unknown");
      assert.ok(error instanceof OpenAI.PermissionDeniedError);
      assert.match(error.message, /how long the audio is can't be told before the call/);
    }
  }
});

// Forms.

const FORM = "multipart/form-data; boundary=X1";
const part = (name, text, more = "") => `--X1\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${text}\r\n`;
const FILE = part("file", "ID3", '; filename="a.mp3"');
const END = "--X1--\r\n";
const send = ({ token }, body, type = FORM) =>
  call(broker, token, "/openai/v1/audio/transcriptions", { body, headers: { "content-type": type } });

test("a form goes along byte for byte, and as nothing but a form", async () => {
  const client = await connect(["audio"]);
  const boundary = "-".repeat(24) + "X1";
  const whole = (part("model", "whisper-1") + FILE + END).replaceAll("--X1", `--${boundary}`);
  const [head, tail] = whole.split("ID3");
  const body = Buffer.concat([Buffer.from(head), sound, Buffer.from(tail)]);
  const answer = await send(client, body, `Multipart/Form-Data; boundary="${boundary}"`);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(latest().sha256, createHash("sha256").update(body).digest("hex"));
  assert.equal(latest().headers["content-type"], `multipart/form-data; boundary=${boundary}`);
});

test("what parsers of forms read differently goes nowhere", async () => {
  const client = await connect(["audio"]);
  const good = part("model", "whisper-1");
  assert.equal((await send(client, FILE + good + END)).status, 200);
  const before = standin.requests.length;
  const forms = {
    "two models": FILE + good + part("model", "gpt-4o-transcribe") + END,
    "a model in a list": FILE + good + part("model[]", "gpt-4o-transcribe") + END,
    "a model in another case": FILE + good + part("Model", "gpt-4o-transcribe") + END,
    "a model that is a file": FILE + part("model", "whisper-1", '; filename="m"') + END,
    "a model with a space": FILE + part("model", "whisper-1 ") + END,
    "no end": FILE + good,
    "an early end": `${good + END}${FILE}${END}`,
    "another boundary before": `--X2\r\n\r\n${FILE}${good}${END}`,
    "a boundary within the file": part("file", `ID3\n--X1\r\n${good.slice(6)}`, '; filename="a.mp3"') + good + END,
    "lines that end in one character": (FILE + good + END).replaceAll("\r\n", "\n"),
    "a folded header": FILE + good.replace("; name", ";\r\n name") + END,
    "an encoded field": FILE + good.replace('"\r\n', '"\r\nContent-Transfer-Encoding: quoted-printable\r\n') + END,
    "a field in another charset": FILE + good.replace('"\r\n', '"\r\nContent-Type: text/plain; charset=utf-7\r\n') + END,
    "a file by its id": part("file", "file-1234") + good + END,
    JSON: '{"model":"whisper-1"}',
  };
  for (const [what, body] of Object.entries(forms)) {
    const answer = await send(client, body);
    assert.deepEqual([what, answer.status, answer.code], [what, 400, "invalid_request"]);
    assertOpenAiError(answer, 400, "invalid_request");
  }
  for (const type of ["application/json", "multipart/form-data", `${FORM}; charset=utf-16`, `${FORM}; boundary=X2`]) {
    assertOpenAiError(await send(client, FILE + good + END, type), 400, "invalid_request");
  }
  assert.equal(standin.requests.length, before);
});

test("what is stored at the provider is out of reach of a form", async () => {
  const client = await connect(["audio"]);
  for (const field of [part("file_id", "file-1"), part("source[file_id]", "file-1"), part("source", '{"file_id":"file-1"}')]) {
    assertOpenAiError(await send(client, FILE + part("model", "whisper-1") + field + END), 403, "field_not_allowed");
  }
});

test("a form above 16 MiB is refused", async () => {
  const client = await connect(["audio"]);
  const body = Buffer.concat([Buffer.from(part("model", "whisper-1")), Buffer.alloc(16 * 1024 * 1024)]);
  assertOpenAiError(await send(client, body), 413, "body_too_large");
});

// Embeddings and moderations under a budget.

test("embeddings are bound by their bytes under a budget, and booked exactly", async () => {
  const client = await connect(["embeddings", "moderation"], { budget_usd: "0.001" });
  // 0.02 USD a million tokens: at most 50,000 bytes.
  const embed = (input) => client.embeddings.create({ model: "text-embedding-3-small", input });
  await refusal(() => embed("x ".repeat(40_000)), 402, "budget_exhausted");
  const { usage } = await embed(["hello", "world"]);
  const [row] = await booked(client);
  assert.deepEqual([row.basis, row.input_tokens, row.nano_usd], ["usage", usage.prompt_tokens, usage.prompt_tokens * 20]);
  await client.moderations.create({ model: "omni-moderation-latest", input: "x ".repeat(40_000) });
  const [, free] = await booked(client, 2);
  assert.deepEqual([free.endpoint, free.nano_usd, free.tokens], ["/v1/moderations", 0, 0]);
});
