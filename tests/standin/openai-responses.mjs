// OpenAI's Responses API, whole and streamed.

import { padding, toolToCall, wantedJson } from "./openai-chat.mjs";
import { cutUp, newId, read, say, tokensIn } from "./words.mjs";

function usageOf({ input, instructions }, outputTokens) {
  const items = Array.isArray(input) ? input : [{ content: input }];
  const inputTokens = items.reduce((sum, item) => sum + 4 + tokensIn(item?.content ?? item?.output), 3 + tokensIn(instructions));
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: inputTokens + outputTokens,
  };
}

function compose({ body, controls }) {
  const { input, tools, tool_choice: choice, text: wanted, max_output_tokens: most } = body;
  const last = Array.isArray(input) ? input.at(-1) : undefined;
  const toolResult = /_call_output$/.test(last?.type ?? "") ? read(last.output).text : undefined;
  const tool = toolToCall(tools, choice, toolResult !== undefined);
  if (tool) return { tool: { ...tool, callId: newId("call_") }, pieces: cutUp(tool.input), cut: false };
  const json = wantedJson(wanted?.format);
  if (json !== null) return { pieces: cutUp(json), cut: false };
  const content = Array.isArray(input) ? input.findLast((item) => item?.role === "user")?.content : input;
  return say("OpenAI", { ...read(content), toolResult }, { chunks: controls.chunks, most });
}

/** The one item of the output, as it is in the beginning (no text) or at the end. */
export function itemOf({ id, tool }, status, text) {
  switch (tool?.kind) {
    case "function":
      return { id, type: "function_call", status, arguments: text, call_id: tool.callId, name: tool.name };
    case "custom":
      return { id, type: "custom_tool_call", status, call_id: tool.callId, input: text, name: tool.name };
    default: {
      const content = status === "in_progress" ? [] : [textPart(text)];
      return { id, type: "message", status, content, role: "assistant" };
    }
  }
}

const textPart = (text) => ({ type: "output_text", annotations: [], logprobs: [], text });

/** The names of the events that carry the item's text, and of the field in the last of them. */
function wordsOf(tool) {
  if (tool?.kind === "function") return { event: "response.function_call_arguments", field: "arguments" };
  if (tool?.kind === "custom") return { event: "response.custom_tool_call_input", field: "input" };
  return { event: "response.output_text", field: "text" };
}

/** The events of a stream: `response` as it begins, `finished` as it ends. */
export function stream({ id, tool, pieces, cut }, response, finished) {
  let sequence = 0;
  const event = (type, data) => `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...data })}\n\n`;
  const { event: name, field } = wordsOf(tool);
  const text = pieces.join("");
  const status = cut ? "incomplete" : "completed";
  const place = { item_id: id, output_index: 0, ...(!tool && { content_index: 0 }) };
  const logprobs = tool ? {} : { logprobs: [] };

  const head =
    event("response.created", { response }) +
    event("response.in_progress", { response }) +
    event("response.output_item.added", { output_index: 0, item: itemOf({ id, tool }, "in_progress", "") }) +
    (tool ? "" : event("response.content_part.added", { ...place, part: textPart("") }));
  const deltas = pieces
    .values()
    .map((piece) => event(`${name}.delta`, { ...place, delta: piece, ...logprobs, obfuscation: padding(piece) }));
  return {
    head,
    deltas,
    // Made when its turn comes, for the numbers of the events.
    get tail() {
      return (
        event(`${name}.done`, { ...place, [field]: text, ...logprobs }) +
        (tool ? "" : event("response.content_part.done", { ...place, part: textPart(text) })) +
        event("response.output_item.done", { output_index: 0, item: itemOf({ id, tool }, status, text) }) +
        event(`response.${status}`, { response: finished })
      );
    },
  };
}

/** Everything that the answer repeats of the request, with the defaults filled in. */
export function settingsOf(body, model) {
  return {
    error: null,
    incomplete_details: null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    model,
    output: [],
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    prompt_cache_retention: body.prompt_cache_retention ?? null,
    reasoning: { effort: "medium", summary: null, ...body.reasoning },
    safety_identifier: body.safety_identifier ?? null,
    service_tier: "default",
    store: body.store ?? true,
    temperature: body.temperature ?? 1,
    text: { format: { type: "text" }, verbosity: "medium", ...body.text },
    tool_choice: body.tool_choice ?? "auto",
    tools: body.tools ?? [],
    top_logprobs: body.top_logprobs ?? 0,
    top_p: body.top_p ?? 1,
    truncation: body.truncation ?? "disabled",
    usage: null,
    user: body.user ?? null,
    metadata: body.metadata ?? {},
  };
}

export function responses(request, model, { refusal, missing }) {
  const { body } = request;
  const { input } = body;
  if (input === undefined || input === null) return missing("input");
  if (typeof input !== "string" && !Array.isArray(input)) {
    const message = "Invalid type for 'input': expected one of an array of input items or a string.";
    return refusal(400, { message, param: "input", code: "invalid_type" });
  }
  const { tool, pieces, cut } = compose(request);
  const id = newId(tool ? (tool.kind === "custom" ? "ctc_" : "fc_") : "msg_");
  const createdAt = Math.floor(Date.now() / 1000);
  const response = {
    id: newId("resp_"),
    object: "response",
    created_at: createdAt,
    status: "in_progress",
    background: false,
    completed_at: null,
    access_programs: null,
    ...settingsOf(body, model),
  };
  const finished = {
    ...response,
    status: cut ? "incomplete" : "completed",
    completed_at: cut ? null : createdAt,
    incomplete_details: cut ? { reason: "max_output_tokens" } : null,
    output: [itemOf({ id, tool }, cut ? "incomplete" : "completed", pieces.join(""))],
    usage: usageOf(body, pieces.length),
  };
  return body.stream ? { stream: stream({ id, tool, pieces, cut }, response, finished) } : { json: finished };
}
