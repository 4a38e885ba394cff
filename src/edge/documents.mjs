// Fetches what an app keeps at an address of its own: a client metadata document, or a key set. The address was judged in Rust; where its
// name leads is judged by the platform (`global_fetch_strictly_public` in wrangler.toml).

/** Until the last byte is there. */
const SECONDS = 3;
/** MAX_FETCHED_BYTES in remote_address.rs. */
const MAX_BYTES = 16 * 1024;

const isJson = (type) => /^application\/([\w.-]+\+)?json$/i.test(type.split(";")[0].trim());

/** The whole body, or null when it is longer than is read. */
async function read(body) {
  const bytes = new Uint8Array(MAX_BYTES);
  let length = 0;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return bytes.subarray(0, length);
    if (length + value.length > MAX_BYTES) {
      reader.cancel().catch(() => {});
      return null;
    }
    bytes.set(value, length);
    length += value.length;
  }
}

/**
 * Resolves to `{ status, cacheControl, bytes }`, or to `{ trouble, status }`: `unreachable`, `late`, `redirected`, `status`, `type` or
 * `long`. Never fails.
 *
 * @param {string} url
 */
export async function fetchDocument(url) {
  // Over the body too: a server that sends a byte a second holds nobody.
  const signal = AbortSignal.timeout(SECONDS * 1000);
  let status = 0;
  try {
    const response = await fetch(url, { headers: { accept: "application/json" }, redirect: "manual", signal });
    status = response.status;
    const trouble =
      status >= 300 && status < 400 ? "redirected" : status !== 200 ? "status" : isJson(response.headers.get("content-type") ?? "") ? null : "type";
    if (trouble) {
      response.body?.cancel().catch(() => {});
      return { trouble, status };
    }
    const bytes = response.body ? await read(response.body) : new Uint8Array();
    if (!bytes) return { trouble: "long", status };
    return { status, bytes, cacheControl: response.headers.get("cache-control") ?? "" };
  } catch {
    return { trouble: signal.aborted ? "late" : "unreachable", status };
  }
}
