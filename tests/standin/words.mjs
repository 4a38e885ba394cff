// What was asked, the control words in it, and what the stand-in says to it. No model runs here: an answer follows from the
// request alone.

import { randomUUID } from "node:crypto";

const CONTROL = /standin:([a-z-]+)(?:=(\d+))?/g;
const MOST_CHUNKS = 100_000;

/** An id that looks like the provider's own. */
export const newId = (prefix) => prefix + randomUUID().replaceAll("-", "");

/** `standin:status=429 standin:hang` becomes `{ status: 429, hang: true }`. */
export function controlsIn(text) {
  const controls = {};
  // Looked for first, since a test may send 16 MiB.
  if (text.includes("standin:")) {
    for (const [, name, number] of text.matchAll(CONTROL)) controls[name] = number === undefined ? true : Number(number);
  }
  return controls;
}

/** The words and the number of pictures in a message's content, which is a text or a list of parts. */
export function read(content, { deep = false } = {}) {
  if (typeof content === "string") return { text: content, images: 0 };
  const texts = [];
  let images = 0;
  for (const part of Array.isArray(content) ? content : []) {
    if (typeof part === "string") texts.push(part);
    else if (typeof part?.text === "string") texts.push(part.text);
    else if (["image", "image_url", "input_image"].includes(part?.type)) images += 1;
    else if (deep && part?.content) {
      const inner = read(part.content, { deep });
      texts.push(inner.text);
      images += inner.images;
    }
  }
  return { text: texts.length === 1 ? texts[0] : texts.join(" "), images };
}

/** Nearly what a tokenizer would count. */
export function tokensIn(content) {
  const { text, images } = read(content, { deep: true });
  return Math.ceil(text.length / 4) + images * 85;
}

/** The first few words, without control words. */
function quote(text) {
  const words = text.slice(0, 2000).replaceAll(CONTROL, " ").trim().split(/\s+/);
  const few = words.slice(0, 12).join(" ");
  const short = few.length > 80 ? few.slice(0, 80) : few;
  const cut = short.length < few.length || words.length > 12;
  return short && `“${short.toWellFormed()}${cut ? "…" : ""}”`;
}

function sentences(who, { text, images, toolResult }) {
  const said = quote(toolResult ?? text);
  const sent = images === 1 ? "sent a picture" : `sent ${images} pictures`;
  let heard = images ? `You ${sent}.` : "You sent no words.";
  if (said && toolResult !== undefined) heard = `Your tool answered: ${said}.`;
  else if (said) heard = images ? `You ${sent} and said: ${said}.` : `You said: ${said}.`;
  return `I am the local stand-in for ${who}. ${heard} No real model was asked, so this cost nothing.`;
}

const MORE = " And so it goes on, word by word, until the answer is as long as it was asked to be.";

/**
 * The answer in pieces, one word each. A piece counts as one token.
 *
 * @param {string} who the provider's name
 * @param {{ text: string, images: number, toolResult?: string }} asked
 * @param {{ chunks?: number, most?: number | null }} length exactly so many pieces, or at most so many
 * @returns {{ pieces: string[], cut: boolean }} `cut`: there was more to say
 */
export function say(who, asked, { chunks, most }) {
  const pieces = sentences(who, asked).match(/\s*\S+/g);
  if (chunks !== undefined) {
    const wanted = Math.min(Math.max(chunks, 1), MOST_CHUNKS);
    const more = MORE.match(/\s*\S+/g);
    for (let i = 0; pieces.length < wanted; i += 1) pieces.push(more[i % more.length]);
    pieces.length = wanted;
    if (!/[.”]$/.test(pieces[wanted - 1])) pieces[wanted - 1] += "…";
    return { pieces, cut: false };
  }
  const cut = Number.isInteger(most) && most > 0 && pieces.length > most;
  if (cut) pieces.length = most;
  return { pieces, cut };
}

/** A text in pieces of some letters each, as arguments of tools are streamed. */
export const cutUp = (text) => text.match(/[^]{1,8}/gu) ?? [];

/** Some value that fits a JSON schema, which is the arguments of a tool or an answer that has to be JSON. */
export function sample(schema, root = schema, depth = 0) {
  if (!schema || typeof schema !== "object" || depth > 12) return null;
  const inner = (one) => sample(one, root, depth + 1);
  if (typeof schema.$ref === "string") {
    const steps = schema.$ref.split("/").slice(1);
    return inner(steps.reduce((at, step) => at?.[step.replaceAll("~1", "/").replaceAll("~0", "~")], root));
  }
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  if ("default" in schema) return schema.default;
  if (Array.isArray(schema.allOf)) return Object.assign({}, ...schema.allOf.map(inner));
  const ways = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(ways)) return inner(ways[0]);
  switch ([schema.type].flat().find((type) => type !== "null") ?? (schema.properties ? "object" : undefined)) {
    case "object": {
      const required = Array.isArray(schema.required) ? schema.required : [];
      // A schema may contain itself; below some depth only what has to be there is there.
      const wanted = Object.entries(schema.properties ?? {}).filter(([name]) => depth < 3 || required.includes(name));
      return Object.fromEntries(wanted.map(([name, one]) => [name, inner(one)]));
    }
    case "array":
      return Array.from({ length: Math.min(Math.max(schema.minItems ?? 1, 1), 10) }, () => inner(schema.items));
    case "string":
      return "example";
    case "integer":
    case "number":
      return schema.minimum ?? 1;
    case "boolean":
      return true;
    default:
      return schema.type === "null" ? null : "example";
  }
}
