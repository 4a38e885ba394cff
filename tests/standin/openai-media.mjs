// OpenAI's images, speech and transcription: made of words, sound, or forms with files in them.

import { say, tokensIn } from "./words.mjs";

const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const IMAGE_TOKENS = { low: 272, medium: 1056, high: 4160, auto: 1056 };
const PARTIAL_TOKENS = 100;
const MOST_IMAGES = 10;
const MOST_PARTIALS = 3;

const sse = (event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
const whole = (value, most) => (Number.isInteger(Number(value)) && Number(value) >= 0 && Number(value) <= most ? Number(value) : null);

/** `kind` is `image_generation` or `image_edit`; `pictures` is how many were sent along. */
function images({ body, controls }, kind, pictures, { refusal, missing }) {
  const { prompt, n = 1, quality = "auto", size = "1024x1024", stream, partial_images: asked = 0 } = body;
  if (typeof prompt !== "string" || prompt === "") return missing("prompt");
  const [count, partials] = [whole(n, MOST_IMAGES), whole(asked, MOST_PARTIALS)];
  if (!count || partials === null) {
    const param = count ? "partial_images" : "n";
    return refusal(400, { message: `Invalid value for '${param}'.`, param, code: "invalid_value" });
  }
  const streams = stream === true || stream === "true";
  const common = {
    background: "opaque",
    output_format: body.output_format ?? "png",
    quality: quality === "auto" ? "medium" : quality,
    size,
  };
  const text = tokensIn(prompt);
  const seen = pictures * 323;
  const usage = (images, written) => ({
    input_tokens: text + seen,
    input_tokens_details: { image_tokens: seen, text_tokens: text },
    output_tokens: written,
    ...(!streams && { output_tokens_details: { image_tokens: written, text_tokens: 0 } }),
    total_tokens: text + seen + written,
  });
  const created = Math.floor(Date.now() / 1000);
  const tokens = IMAGE_TOKENS[quality] ?? IMAGE_TOKENS.auto;
  // As heavy as a real one, where that is asked for.
  const b64 = controls.chunks ? PNG + "A".repeat(4 * controls.chunks) : PNG;
  if (!streams) {
    const data = Array.from({ length: count }, () => ({ b64_json: b64 }));
    return { json: { created, ...common, data, usage: usage(count, count * tokens) } };
  }
  const deltas = Array.from({ length: count * partials }, (_, index) =>
    sse({ type: `${kind}.partial_image`, b64_json: b64, created_at: created, partial_image_index: index % partials, ...common }),
  );
  const completed = Array.from({ length: count }, () =>
    sse({
      type: `${kind}.completed`,
      b64_json: b64,
      created_at: created,
      ...common,
      usage: usage(1, tokens + partials * PARTIAL_TOKENS),
    }),
  );
  return { stream: { head: "", deltas, tail: completed.join("") } };
}

export const generations = (request, _, tools) => images(request, "image_generation", 0, tools);

export function edits(request, _, tools) {
  const pictures = Object.entries(request.files).filter(([name]) => /^image(\[\])?$/.test(name)).flatMap(([, files]) => files);
  return pictures.length === 0 ? tools.missing("image") : images(request, "image_edit", pictures.length, tools);
}

const SOUND = { mp3: "audio/mpeg", opus: "audio/ogg", aac: "audio/aac", flac: "audio/flac", wav: "audio/wav", pcm: "audio/pcm" };
const CHUNK = Buffer.from("ID3\x04\0\0\0\0\0\0\xff\xfb\x90\x64", "latin1");
const MOST_CHARACTERS = 4096;

export function speech({ body, controls }, model, { refusal, missing }) {
  const { input, voice, response_format: format = "mp3", stream_format: streamFormat = "audio" } = body;
  if (typeof input !== "string" || input === "") return missing("input");
  if (!voice) return missing("voice");
  if ([...input].length > MOST_CHARACTERS) {
    return refusal(400, { message: `String should have at most ${MOST_CHARACTERS} characters`, param: "input", code: "string_too_long" });
  }
  const chunks = Array.from({ length: controls.chunks ?? 4 }, () => CHUNK);
  if (streamFormat !== "sse") return { bytes: chunks, type: SOUND[format] ?? SOUND.mp3 };
  if (model.startsWith("tts-")) {
    return refusal(400, { message: `stream_format 'sse' is not supported for ${model}.`, param: "stream_format" });
  }
  const usage = { input_tokens: tokensIn(input), output_tokens: chunks.length * 10 };
  usage.total_tokens = usage.input_tokens + usage.output_tokens;
  const deltas = chunks.map((chunk) => sse({ type: "speech.audio.delta", audio: chunk.toString("base64") }));
  return { stream: { head: "", deltas, tail: sse({ type: "speech.audio.done", usage }) } };
}

const BYTES_PER_SECOND = 16_000;
const time = (seconds, point) => `00:00:${String(Math.floor(seconds)).padStart(2, "0")}${point}000`;

const plain = (text) => ({ bytes: [Buffer.from(text)], type: "text/plain; charset=utf-8" });

/** Transcriptions and translations. */
function heard({ body, files, controls }, model, { refusal, missing }, translates) {
  const [file] = files.file ?? [];
  if (!file) return missing("file");
  const seconds = Math.max(1, Math.ceil(file.size / BYTES_PER_SECOND));
  const { pieces } = say("OpenAI", { text: "", images: 0 }, { chunks: controls.chunks });
  const text = pieces.join("");
  const audio = seconds * 10;
  const byTokens = {
    type: "tokens",
    total_tokens: audio + pieces.length,
    input_tokens: audio,
    input_token_details: { text_tokens: 0, audio_tokens: audio },
    output_tokens: pieces.length,
  };
  const isWhisper = model === "whisper-1";
  const usage = isWhisper ? { type: "duration", seconds } : byTokens;
  if (body.stream === "true" && !isWhisper && !translates) {
    const deltas = pieces.map((delta) => sse({ type: "transcript.text.delta", delta }));
    return { stream: { head: "", deltas, tail: sse({ type: "transcript.text.done", text, usage }) } };
  }
  const { response_format: format = "json" } = body;
  if (!isWhisper && format !== "json") {
    const message = `response_format '${format}' is not compatible with model '${model}'. Use 'json' instead.`;
    return refusal(400, { message, param: "response_format", code: "unsupported_value" });
  }
  switch (format) {
    case "text":
      return plain(`${text}\n`);
    case "srt":
      return plain(`1\n${time(0, ",")} --> ${time(seconds, ",")}\n${text}\n\n`);
    case "vtt":
      return plain(`WEBVTT\n\n${time(0, ".")} --> ${time(seconds, ".")}\n${text}\n\n`);
    case "verbose_json": {
      const task = translates ? "translate" : "transcribe";
      return { json: { task, language: "english", duration: seconds, text, segments: [], ...(!translates && { usage }) } };
    }
    default:
      return { json: { text, ...(!translates && { usage }) } };
  }
}

export const transcriptions = (request, model, tools) => heard(request, model, tools, false);
export const translations = (request, model, tools) => heard(request, model, tools, true);
