// One stream of changes for all tabs of a browser: a shared worker opens it while a visible tab
// follows something, with the topics of all of them.

/** What each tab follows. @type {Map<MessagePort, string>} */
const topics = new Map();
/** @type {EventSource | undefined} */
let source;
let following = "";

function open() {
  const wanted = [...new Set(topics.values())].sort();
  const query = new URLSearchParams(wanted.map((topic) => ["topic", topic])).toString();
  if (query === following) return;
  following = query;
  source?.close();
  source = undefined;
  if (wanted.length === 0) return;
  source = new EventSource(`/console/changes?${query}`);
  source.addEventListener("changed", (event) => tell({ changed: JSON.parse(event.data) }));
  source.addEventListener("open", () => tell({ open: true }));
  source.addEventListener("error", () => tell({ open: false }));
}

/** @param {object} message */
function tell(message) {
  for (const port of topics.keys()) port.postMessage(message);
}

/** @param {MessagePort} port */
function listen(port) {
  port.addEventListener("message", (event) => {
    // A tab that is hidden, paused or closed follows nothing.
    if (event.data.topic) topics.set(port, event.data.topic);
    else topics.delete(port);
    open();
  });
  port.start();
}

addEventListener("connect", (event) => {
  const [port] = /** @type {MessageEvent} */ (event).ports;
  if (port) listen(port);
});
