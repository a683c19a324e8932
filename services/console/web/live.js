// Keeps a page up to date while it is visible and not paused. An update never moves what is under
// the pointer or has the focus.

const WORKER = document.querySelector("meta[name=changes]")?.getAttribute("content") ?? "";
const TOPIC = document.querySelector("[data-topic]")?.getAttribute("data-topic") ?? "";
const PAUSED = "fanfold-paused";

/** Only pages and files of this server become markup and workers. */
const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("fragment", {
  createHTML: (/** @type {string} */ html) => html,
  createScriptURL: (/** @type {string} */ url) => {
    if (url.startsWith("/console/assets/")) return url;
    throw new TypeError("not a file of the console");
  },
});

let paused = localStorage.getItem(PAUSED) === "yes";
let stale = false;
let busy = false;
/** @type {MessagePort | undefined} */
let port;

const button = document.createElement("button");
button.type = "button";
button.className = "live";

/** @param {boolean} open */
function show(open) {
  button.setAttribute("aria-pressed", String(!paused));
  button.dataset.state = paused ? "cancelled" : open ? "succeeded" : "received";
  button.textContent = paused ? "Paused" : open ? "Live" : "Connecting…";
}

/** Whether an element is in use, so that it must not change now. @param {Element} element */
function inUse(element) {
  return element.matches(":hover") || element.contains(document.activeElement);
}

/** Replaces a part once it is no longer in use. @param {Element} old @param {Element} made */
function replace(old, made) {
  if (!inUse(old)) {
    old.replaceWith(made);
    return;
  }
  const later = () => {
    if (!old.isConnected) return;
    if (inUse(old)) return setTimeout(later, 500);
    old.replaceWith(made);
  };
  setTimeout(later, 500);
}

/** Reads the page again and replaces the parts that differ. */
async function refresh() {
  if (busy || document.hidden || paused) {
    stale = true;
    return;
  }
  busy = true;
  stale = false;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    // A server that is away changes nothing on the page; the stream says so.
    if (!answer.ok) return;
    const html = await answer.text();
    const trusted = policy ? policy.createHTML(html) : html;
    const page = new DOMParser().parseFromString(/** @type {string} */ (trusted), "text/html");
    for (const old of document.querySelectorAll("[data-live]")) {
      const name = old.getAttribute("data-live");
      const made = page.querySelector(`[data-live="${name}"]`);
      if (made && made.outerHTML !== old.outerHTML) replace(old, document.adoptNode(made));
    }
  } finally {
    busy = false;
    if (stale) setTimeout(refresh, 500);
  }
}

/** Follows what this page is about, as long as somebody looks. */
function follow() {
  port?.postMessage({ topic: paused || document.hidden ? "" : TOPIC });
  if (!paused && !document.hidden && stale) refresh();
  if (paused) show(false);
}

function begin() {
  if (!TOPIC || !WORKER || !("SharedWorker" in globalThis)) return;
  const url = policy ? policy.createScriptURL(WORKER) : WORKER;
  const worker = new SharedWorker(/** @type {string} */ (url), { name: "fanfold changes" });
  port = worker.port;
  port.addEventListener("message", (event) => {
    if ("open" in event.data) return show(event.data.open);
    const { requests } = event.data.changed;
    const mine = TOPIC === "all" || requests.some((/** @type {string} */ id) => TOPIC.endsWith(id));
    if (mine) refresh();
  });
  port.start();
  show(false);
  document.querySelector(".themes")?.before(button);
  button.addEventListener("click", () => {
    paused = !paused;
    localStorage.setItem(PAUSED, paused ? "yes" : "no");
    stale = true;
    follow();
  });
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => port?.postMessage({ topic: "" }));
  follow();
}

begin();
