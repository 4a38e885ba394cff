// What the data plane asks of the platform, each in one go: a call from wasm costs about as much as what it asks for.
//
// Headers go over as text: a name and its value in turns, a line each, which neither can break. Which of them pass is decided in Rust.

function textOf(headers) {
  let text = "";
  for (const [name, value] of headers) text += `\n${name}\n${value}`;
  return text;
}

function headersOf(text) {
  const lines = text.split("\n");
  const headers = {};
  for (let at = 1; at < lines.length; at += 2) headers[lines[at]] = lines[at + 1];
  return headers;
}

/** What a request says: its method, its address and its headers. */
export const facts = ({ method, url, headers }) => `${method}\n${url}${textOf(headers)}`;

/**
 * Calls a provider. Resolves to `{ response, giveUp, headers }`: the answer, what hangs up on it, and its headers; or to `{ problem }`:
 * `late`, `abandoned` where the client went away, or `unreachable` and a `reason`.
 */
export async function callUpstream({ signal }, method, url, headers, body, seconds) {
  const giveUp = new AbortController();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    giveUp.abort();
  }, seconds * 1000);
  try {
    const response = await fetch(url, {
      method,
      headers: headersOf(headers),
      body,
      // A redirect would carry the key to another host: the platform strips only `Authorization`.
      redirect: "manual",
      signal: AbortSignal.any([signal, giveUp.signal]),
    });
    return { response, giveUp, headers: textOf(response.headers) };
  } catch (error) {
    if (isLate) return { problem: "late" };
    return signal.aborted ? { problem: "abandoned" } : { problem: "unreachable", reason: String(error?.message) };
  } finally {
    clearTimeout(timer);
  }
}

/** An answer. */
export const respond = (status, headers, body) => new Response(body, { status, headers: headersOf(headers) });
