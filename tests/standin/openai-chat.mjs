// OpenAI's chat completions, whole and streamed.

import { cutUp, newId, read, sample, say, tokensIn } from "./words.mjs";

// The real server pads its chunks, so that their lengths don't give the words away.
const PADDING = "k7Qz2mVx9LbT4nRw";
export const padding = (piece) => PADDING.slice(0, Math.max(1, PADDING.length - piece.length));

/** The tool to call: the one that was named, or the first; none after a tool has answered. */
export function toolToCall(tools, choice, afterResult) {
  const ours = (Array.isArray(tools) ? tools : [])
    .filter((tool) => tool?.type === "function" || tool?.type === "custom")
    .map((tool) => ({ kind: tool.type, ...(tool[tool.type] ?? tool) }));
  const named = choice?.name ?? choice?.function?.name ?? choice?.custom?.name;
  if (choice === "none" || (afterResult && named === undefined)) return undefined;
  const tool = named === undefined ? ours[0] : ours.find(({ name }) => name === named);
  if (!tool) return undefined;
  const input = tool.kind === "custom" ? "example" : JSON.stringify(sample(tool.parameters ?? {}) ?? {});
  return { kind: tool.kind, name: tool.name, input: input.startsWith("{") || tool.kind === "custom" ? input : "{}" };
}

/** `null` where a text is wanted; else a JSON text of the wanted shape. */
export function wantedJson(format) {
  if (format?.type === "json_object") return JSON.stringify({ answer: "example" });
  if (format?.type !== "json_schema") return null;
  return JSON.stringify(sample(format.json_schema?.schema ?? format.schema));
}

function usageOf(messages, completionTokens) {
  const promptTokens = messages.reduce((sum, message) => sum + 4 + tokensIn(message?.content), 3);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

/** What the answer is made of: `pieces` of a text or of a tool's arguments. */
function compose({ body, controls }) {
  const { messages, tools, tool_choice: choice, response_format: format } = body;
  const last = messages.at(-1);
  const toolResult = ["tool", "function"].includes(last?.role) ? read(last.content).text : undefined;
  const tool = toolToCall(tools, choice, toolResult !== undefined);
  if (tool) return { tool: { ...tool, id: newId("call_") }, pieces: cutUp(tool.input), finish: "tool_calls" };
  const json = wantedJson(format);
  if (json !== null) return { pieces: cutUp(json), finish: "stop" };
  const asked = read(messages.findLast((message) => message?.role === "user")?.content);
  const most = body.max_completion_tokens ?? body.max_tokens;
  const { pieces, cut } = say("OpenAI", { ...asked, toolResult }, { chunks: controls.chunks, most });
  return { pieces, finish: cut ? "length" : "stop" };
}

const toolPart = ({ kind }, text) => (kind === "custom" ? { custom: { input: text } } : { function: { arguments: text } });

function toolStart(tool) {
  const part = toolPart(tool, "")[tool.kind];
  return { index: 0, id: tool.id, type: tool.kind, [tool.kind]: { name: tool.name, ...part } };
}

/** The events of a stream: `indexes` are the choices, each with the same pieces. */
export function stream({ tool, pieces, finish }, about, indexes, usage) {
  const event = (data) => `data: ${JSON.stringify(data)}\n\n`;
  const chunk = (delta, finishReason, piece = "") =>
    indexes
      .map((index) => {
        const choices = [{ index, delta, logprobs: null, finish_reason: finishReason }];
        return event({ ...about, choices, ...(usage && { usage: null }), obfuscation: padding(piece) });
      })
      .join("");
  const first = tool ? { content: null, tool_calls: [toolStart(tool)] } : { content: "" };
  const delta = (piece) => (tool ? { tool_calls: [{ index: 0, ...toolPart(tool, piece) }] } : { content: piece });
  const last = usage ? event({ ...about, choices: [], usage, obfuscation: padding("") }) : "";
  return {
    head: chunk({ role: "assistant", ...first, refusal: null }, null),
    deltas: pieces.values().map((piece) => chunk(delta(piece), null, piece)),
    tail: `${chunk({}, finish)}${last}data: [DONE]\n\n`,
  };
}

export function chatCompletions(request, model, { refusal, missing }) {
  const { messages, stream: streamed, stream_options: options, n = 1 } = request.body;
  if (messages === undefined) return missing("messages");
  if (!Array.isArray(messages)) {
    return refusal(400, { message: "Invalid type for 'messages': expected an array.", param: "messages", code: "invalid_type" });
  }
  if (messages.length === 0) {
    const message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.";
    return refusal(400, { message, param: "messages", code: "empty_array" });
  }
  if (options && !streamed) {
    const message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
    return refusal(400, { message, param: "stream_options" });
  }
  const indexes = [...Array(Number.isInteger(n) ? Math.min(Math.max(n, 1), 128) : 1).keys()];
  const answer = compose(request);
  const usage = usageOf(messages, answer.pieces.length * indexes.length);
  const about = {
    id: newId("chatcmpl-"),
    object: streamed ? "chat.completion.chunk" : "chat.completion",
    created: Math.floor(Date.now() / 1000),
    model,
    service_tier: "default",
    system_fingerprint: "fp_standin0000",
  };
  if (streamed) return { stream: stream(answer, about, indexes, options?.include_usage === true ? usage : undefined) };

  const { tool, pieces, finish } = answer;
  const text = pieces.join("");
  const call = tool && { id: tool.id, type: tool.kind, [tool.kind]: { name: tool.name, ...toolPart(tool, text)[tool.kind] } };
  const content = tool ? { content: null, tool_calls: [call] } : { content: text };
  const message = { role: "assistant", ...content, refusal: null, annotations: [] };
  const choices = indexes.map((index) => ({ index, message, logprobs: null, finish_reason: finish }));
  const { id, object, created, ...rest } = about;
  return { json: { id, object, created, model, choices, usage, ...rest } };
}
