// Forms with a passkey (`data-passkey`): asks the broker what to ask for, has the browser ask the person, and sends the form with the answer.

const supported = Boolean(window.PublicKeyCredential && navigator.credentials?.create);

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

// For browsers without the methods of WebAuthn Level 3.
const described = (list) => list?.map((entry) => ({ ...entry, id: bytes(entry.id) }));

function creationOptions(json) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) return PublicKeyCredential.parseCreationOptionsFromJSON(json);
  const user = { ...json.user, id: bytes(json.user.id) };
  return { ...json, user, challenge: bytes(json.challenge), excludeCredentials: described(json.excludeCredentials) };
}

function requestOptions(json) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(json);
  return { ...json, challenge: bytes(json.challenge), allowCredentials: described(json.allowCredentials) };
}

function written(credential) {
  const { response } = credential;
  const answer = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) answer[name] = text(response[name]);
  }
  return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response: answer });
}

/** Shows one of the form's messages and hides the others. */
function say(form, what, message) {
  for (const place of form.querySelectorAll("[data-say]")) {
    place.hidden = place.dataset.say !== what;
    if (message && !place.hidden) place.textContent = message;
  }
}

async function ask(form) {
  const answer = await fetch(form.dataset.options, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    headers: { accept: "application/json" },
  });
  const isJson = answer.headers.get("content-type")?.startsWith("application/json");
  const { publicKey, message } = isJson ? await answer.json() : {};
  if (!publicKey) return { say: message ? "refused" : "failed", message };
  const making = form.dataset.passkey === "create";
  const credential = making
    ? await navigator.credentials.create({ publicKey: creationOptions(publicKey) })
    : await navigator.credentials.get({ publicKey: requestOptions(publicKey) });
  return credential ? { credential } : { say: "cancelled" };
}

const SAID = { NotAllowedError: "cancelled", AbortError: "cancelled", InvalidStateError: "known", NotSupportedError: "unsupported" };

async function send(form, button) {
  button.disabled = true;
  say(form, null);
  try {
    const result = await ask(form);
    if (result.credential) {
      form.elements.credential.value = written(result.credential);
      form.submit();
      return;
    }
    say(form, result.say, result.message);
  } catch (error) {
    say(form, SAID[error.name] ?? "failed");
  }
  button.disabled = false;
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("button");
  if (!supported) {
    say(form, "unsupported");
    button.disabled = true;
    continue;
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form, button);
  });
}
