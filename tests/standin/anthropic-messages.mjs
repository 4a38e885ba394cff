// Anthropic's Messages API, whole and streamed. Before version 2026-10-21 a field without a value is left out, and the usage at
// the end of a stream is the output's alone; since then every field is there, and all the usage is repeated.

import { cutUp, newId, read, sample, say, tokensIn } from "./words.mjs";

function problemWith({ messages }) {
  if (messages === undefined) return "messages: Field required";
  if (!Array.isArray(messages)) return "messages: Input should be a valid list";
  if (messages.length === 0) return "messages: at least one message is required";
  const strange = messages.findIndex((message) => !["user", "assistant", "system"].includes(message?.role));
  return strange < 0 ? undefined : `messages.${strange}.role: Input should be 'user' or 'assistant'`;
}

function inputTokens({ messages, system, tools }) {
  const ofTools = Array.isArray(tools) && tools.length > 0 ? 300 + Math.ceil(JSON.stringify(tools).length / 4) : 0;
  return messages.reduce((sum, message) => sum + 4 + tokensIn(message.content), 3 + tokensIn(system) + ofTools);
}

/** Older SDKs say so in the query, newer ones only name the betas. */
const wantsBeta = ({ query, headers }) => query.get("beta") === "true" || headers["anthropic-beta"] !== undefined;

export function countTokens(request, _, { refusal, isOld }) {
  const problem = problemWith(request.body);
  if (problem) return refusal(400, { message: problem });
  const more = wantsBeta(request) && !isOld ? { context_management: null } : {};
  return { json: { input_tokens: inputTokens(request.body), ...more } };
}

/** The tool to call: the one that was named, or the first; none after a tool has answered. */
function toolToCall({ tools, tool_choice: choice }, afterResult) {
  const all = Array.isArray(tools) ? tools : [];
  const ours = all.filter((tool) => tool?.input_schema && (tool.type ?? "custom") === "custom");
  const named = choice?.type === "tool" ? choice.name : undefined;
  if (choice?.type === "none" || (afterResult && named === undefined)) return undefined;
  return named === undefined ? ours[0] : ours.find(({ name }) => name === named);
}

function compose({ body, controls }) {
  const last = body.messages.at(-1);
  const results = Array.isArray(last.content) ? last.content.filter((part) => part?.type === "tool_result") : [];
  const toolResult = results.length > 0 ? read(results[0].content).text : undefined;
  const tool = toolToCall(body, toolResult !== undefined);
  if (tool) {
    const input = sample(tool.input_schema);
    const fits = typeof input === "object" && input !== null && !Array.isArray(input);
    return { tool: { id: newId("toolu_"), name: tool.name, input: fits ? input : {} }, stop: "tool_use" };
  }
  const format = body.output_config?.format ?? body.output_format;
  if (format?.type === "json_schema") return { pieces: cutUp(JSON.stringify(sample(format.schema))), stop: "end_turn" };
  const asked = read(body.messages.findLast((message) => message.role === "user")?.content);
  const { pieces, cut } = say("Anthropic", { ...asked, toolResult }, { chunks: controls.chunks, most: body.max_tokens });
  return { pieces, stop: cut ? "max_tokens" : "end_turn" };
}

function usageOf(input, output, { isOld, isBeta }) {
  return {
    input_tokens: input,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
    output_tokens: output,
    service_tier: "standard",
    ...(!isOld && { inference_geo: "not_available", output_tokens_details: null, server_tool_use: null, speed: "standard" }),
    ...(!isOld && isBeta && { fallback_credit: null, iterations: null }),
  };
}

/** The usage in `message_delta`: of the whole message, not what came since the last one. */
function finalUsage(usage, { isOld }) {
  if (isOld) return { output_tokens: usage.output_tokens };
  const { cache_creation: _, service_tier: __, inference_geo: ___, speed: ____, ...counts } = usage;
  return counts;
}

const event = (type, data) => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;

/** The events of a stream: `message` as it begins, `usage` as it ends. */
export function stream({ tool, pieces, stop }, message, usage, kind) {
  const rest = kind.isOld ? {} : { citations: null };
  const caller = kind.isOld ? {} : { caller: { type: "direct" } };
  const block = tool ? { type: "tool_use", ...tool, input: {}, ...caller } : { type: "text", text: "", ...rest };
  const delta = (text) => (tool ? { type: "input_json_delta", partial_json: text } : { type: "text_delta", text });
  // A tool's arguments begin with nothing.
  const parts = tool ? ["", ...cutUp(JSON.stringify(tool.input))] : pieces;
  const end = { stop_reason: stop, stop_sequence: null, ...(!kind.isOld && { stop_details: null, container: null }) };
  const more = kind.isBeta && !kind.isOld ? { context_management: null } : {};
  return {
    head:
      event("message_start", { message }) +
      event("content_block_start", { index: 0, content_block: block }) +
      event("ping", {}),
    deltas: parts.values().map((text) => event("content_block_delta", { index: 0, delta: delta(text) })),
    tail:
      event("content_block_stop", { index: 0 }) +
      event("message_delta", { delta: end, usage: finalUsage(usage, kind), ...more }) +
      event("message_stop", {}),
  };
}

export function messages(request, model, { refusal, isOld }) {
  const { body } = request;
  const kind = { isOld, isBeta: wantsBeta(request) };
  const { max_tokens: most } = body;
  if (most === undefined) return refusal(400, { message: "max_tokens: Field required" });
  if (!Number.isInteger(most)) return refusal(400, { message: "max_tokens: Input should be a valid integer" });
  if (most < 1) return refusal(400, { message: "max_tokens: Input should be greater than or equal to 1" });
  const problem = problemWith(body);
  if (problem) return refusal(400, { message: problem });

  const answer = compose(request);
  const { tool, pieces, stop } = answer;
  const outputTokens = tool ? 20 + cutUp(JSON.stringify(tool.input)).length : pieces.length;
  const usage = usageOf(inputTokens(body), outputTokens, kind);
  const block = tool
    ? { type: "tool_use", ...tool, ...(!isOld && { caller: { type: "direct" } }) }
    : { type: "text", text: pieces.join(""), ...(!isOld && { citations: null }) };
  const message = {
    model,
    id: newId("msg_"),
    type: "message",
    role: "assistant",
    content: [block],
    stop_reason: stop,
    stop_sequence: null,
    ...(!isOld && { stop_details: null, container: null, diagnostics: null }),
    ...(!isOld && kind.isBeta && { context_management: null }),
    usage,
  };
  if (!body.stream) return { json: message };
  // It begins with next to nothing said.
  const begun = { ...message, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } };
  return { stream: stream(answer, begun, usage, kind) };
}
