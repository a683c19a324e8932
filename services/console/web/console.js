// What the pages do beyond being read. Every page works without this file.

/** Copies a text. On plain HTTP a browser has no clipboard API.
 * @param {string} text
 * @returns {Promise<boolean>} */
async function copy(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // The older way may still be allowed.
    }
  }
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!(button instanceof HTMLButtonElement)) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const done = await copy(button.dataset.copy ?? "");
    button.textContent = done ? "Copied" : "Press Ctrl-C";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}

/** The keys that lead to a page, after `g`. */
const PAGES = new Map([
  ["o", "/console/"],
  ["r", "/console/requests"],
  ["f", "/console/failures"],
  ["d", "/console/dead-letters"],
  ["p", "/console/operations"],
  ["s", "/console/system"],
]);

/** The steps through the past of a request, as links of the page. */
const STEPS = new Map([
  ["ArrowLeft", "prev"],
  ["ArrowRight", "next"],
]);

let leading = false;
document.addEventListener("keydown", (event) => {
  const target = event.target;
  const types = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
  if (types || event.ctrlKey || event.metaKey || event.altKey) return;
  const page = leading ? PAGES.get(event.key) : undefined;
  leading = event.key === "g";
  const rel = new URLSearchParams(location.search).has("at") ? STEPS.get(event.key) : undefined;
  const step = rel && document.querySelector(`.steps a[rel="${rel}"]`);
  if (page) {
    location.assign(page);
  } else if (step instanceof HTMLAnchorElement) {
    step.click();
  } else if (event.key === "/") {
    event.preventDefault();
    document.getElementById("search")?.focus();
  }
});
