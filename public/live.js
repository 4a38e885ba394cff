// Keeps the page of a grant up to date while somebody looks at it: asks every two seconds for the parts that change, and less often
// while nothing does. What somebody is just using (an open field, a button with the focus) is not taken from under their hands.

const FIRST_MS = 2000;
const SLOWEST_MS = 15_000;
const AFTER_FAILURE_MS = 30_000;
// So long after the last sign of a person the page falls asleep, and with it the session that it would keep alive.
const AWAKE_MS = 30 * 60_000;

const card = document.querySelector("[data-live-from]");
const announcement = document.querySelector("[data-live-said]");
let tag;
let wait = FIRST_MS;
let timer;
let seen = Date.now();
let isAsking = false;
let isOver = false;

const stateText = (root) => root.querySelector("[data-live=state] [data-said]")?.textContent.trim() ?? "";

/** Whether a field in it is being filled in. */
const isEdited = (region) => region.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");

/** What tells an element from the others of its kind, before and after. */
function nameOf(element) {
  if (element.tagName === "BUTTON") return `button ${element.form?.getAttribute("action")}`;
  return element.id || element.getAttribute("href") || element.textContent;
}

function replace(region, next) {
  if (region.innerHTML === next.innerHTML || isEdited(region)) return;
  const focused = region.contains(document.activeElement) ? nameOf(document.activeElement) : undefined;
  const open = new Set([...region.querySelectorAll("details[open]")].map((details) => details.querySelector("summary")?.textContent));
  region.replaceChildren(...next.childNodes);
  for (const details of region.querySelectorAll("details")) details.open ||= open.has(details.querySelector("summary")?.textContent);
  if (focused === undefined) return;
  const candidates = [...region.querySelectorAll("a, button, summary")];
  // A button that is gone, such as Pause once it is paused: whoever used it stays where they were.
  (candidates.find((element) => nameOf(element) === focused) ?? candidates[0] ?? document.querySelector("h1"))?.focus();
}

function show(html) {
  const next = new DOMParser().parseFromString(html, "text/html");
  const [before, after] = [stateText(document), stateText(next)];
  for (const region of document.querySelectorAll("[data-live]")) {
    const fresh = next.querySelector(`[data-live="${region.dataset.live}"]`);
    if (fresh) replace(region, fresh);
  }
  if (announcement && after && before !== after) announcement.textContent = after;
}

async function ask() {
  isAsking = true;
  try {
    const headers = tag === undefined ? {} : { "if-none-match": tag };
    const response = await fetch(card.dataset.liveFrom, { headers, redirect: "error", cache: "no-store" });
    const next = response.headers.get("etag");
    if (response.status === 200 && next) {
      show(await response.text());
      tag = next;
      wait = FIRST_MS;
    } else if (response.status === 304) {
      wait = Math.min(wait * 1.25, SLOWEST_MS);
    } else if (response.status >= 500) {
      wait = AFTER_FAILURE_MS;
    } else {
      // Signed out, or no longer there: the page as it stands is the last word.
      isOver = true;
    }
  } catch {
    wait = AFTER_FAILURE_MS;
  } finally {
    isAsking = false;
    plan();
  }
}

function plan() {
  clearTimeout(timer);
  if (isOver || isAsking || document.hidden || Date.now() - seen > AWAKE_MS) return;
  timer = setTimeout(ask, wait);
}

/** Somebody is there: at once if the page was asleep. */
function wake() {
  const slept = Date.now() - seen > AWAKE_MS;
  seen = Date.now();
  if (slept && !isAsking && !isOver && !document.hidden) ask();
}

if (card) {
  document.addEventListener("visibilitychange", () => {
    wait = FIRST_MS;
    seen = Date.now();
    if (document.hidden || isAsking || isOver) plan();
    else ask();
  });
  for (const event of ["pointerdown", "keydown", "scroll"]) addEventListener(event, wake, { passive: true });
  plan();
}
