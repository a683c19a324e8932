"""The console in a real browser: python stories.py CONSOLE API [PICTURES].

CONSOLE is the address of the admin listener, API that of the API. Debian's Chromium is driven by
Playwright. AXE names a copy of axe.min.js; without it, accessibility is not tested, and that is said.
With PICTURES, every page is stored there as a picture.
"""
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

CONSOLE, API = sys.argv[1].rstrip("/"), sys.argv[2].rstrip("/")
PICTURES = Path(sys.argv[3]) if len(sys.argv) > 3 else None
AXE = os.environ.get("AXE", "")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
LIMIT_MS = 20_000
# What a page may cost (docs/console.md).
NODES_MAX, BYTES_MAX, FILES_MAX = 3_000, 400_000, 8

WATCH = """
window.violations = [];
addEventListener('securitypolicyviolation', (event) =>
  window.violations.push(event.violatedDirective + ' ' + event.blockedURI));
"""

# What a page costs, and by how much it is too wide.
SIZE = """() => {
  const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
  return {
    over: document.documentElement.scrollWidth - innerWidth,
    nodes: document.querySelectorAll('*').length,
    files: all.length,
    bytes: all.reduce((sum, entry) => sum + entry.decodedBodySize, 0),
  };
}"""

HOSTILE = "\"'></title><script>alert(1)</script><img src=x onerror=alert(2)>"


def call(path, body=None, kind="application/json", headers=None):
    data = body if body is None or isinstance(body, bytes) else body.encode()
    request = urllib.request.Request(API + path, data, {"Content-Type": kind, **(headers or {})})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def document(groups):
    valuation = '<valuation name="{}"><market><rate>0.03</rate></market><analytics><price><amount/></price></analytics></valuation>'
    groups = "".join(
        f'<group name="{name}">{"".join(valuation.format(v) for v in names)}</group>' for name, names in groups
    )
    return f"<vnml><project>{groups}</project></vnml>"


def submit(groups, **labels):
    headers = {name.replace("_", "-"): value for name, value in labels.items()}
    return call("/valuation", document(groups), "application/xml", headers)["requestId"]


def until(what, found, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def status(request):
    return call(f"/valuation/{request}/status")["status"]


class Stories:
    def __init__(self, browser):
        self.browser = browser
        self.done = []

    def page(self, **options):
        context = self.browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(LIMIT_MS)
        context.add_init_script(WATCH)
        page = context.new_page()
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(f"error {error}"))
        page.on("dialog", lambda dialog: (page.problems.append(f"dialog {dialog.message}"), dialog.dismiss()))
        return page

    def clean(self, page, name):
        found = page.problems + page.evaluate("window.violations || []")
        assert not found, f"{name}: {found}"

    def run(self, name, story):
        story()
        self.done.append(name)
        print(f"ok: {name}", flush=True)


def settled(page, path):
    answer = page.goto(CONSOLE + path, wait_until="load")
    assert answer.status < 500, f"{path}: {answer.status}"
    return answer


def wait(page, expression):
    """Waits until an expression is true. Playwright's own way evaluates text in the page, which the policy forbids."""

    def found():
        try:
            return page.evaluate(expression)
        except Error:
            return False  # The page is just being left.

    until(expression, found)


def accessible(page, name):
    """axe is a script of others, so it is put beside the page's policy by the browser's own door."""
    if not AXE:
        return
    page.context.new_cdp_session(page).send("Runtime.evaluate", {"expression": Path(AXE).read_text()})
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    told = [f"{v['id']}: {v['nodes'][0]['html'][:160]}" for v in found]
    assert not told, f"{name}: {told}"


def every_page(stories, failed, running, hostile):
    pages = {
        "overview": "/console/",
        "requests": "/console/requests",
        "nothing": "/console/requests?q=status:cancelled+label:x-desk=nobody",
        "request": f"/console/requests/{failed}",
        "running": f"/console/requests/{running}",
        "tasks": f"/console/requests/{failed}?tab=tasks",
        "events": f"/console/requests/{failed}?tab=events&event=1",
        "documents": f"/console/requests/{failed}?tab=documents",
        "audit": f"/console/requests/{failed}?tab=audit",
        "past": f"/console/requests/{failed}?at=-0s",
        "group": f"/console/requests/{failed}/groups/0",
        "task": f"/console/requests/{failed}/tasks/0/2",
        "document": f"/console/requests/{failed}/documents/submitted",
        "failures": "/console/failures",
        "dead-letters": "/console/dead-letters",
        "system": "/console/system",
        "redrive": f"/console/requests/{failed}/redrive",
        "fork": f"/console/requests/{failed}/fork",
        "missing": "/console/requests/0199e0a1-2b3c-7d4e-8f50-617283940516",
        "sign-in": "/console/sign-in",
        "hostile": f"/console/requests/{hostile}",
        "hostile-events": f"/console/requests/{hostile}?tab=events&event=1",
        "hostile-task": f"/console/requests/{hostile}/tasks/0/2",
        "hostile-document": f"/console/requests/{hostile}/documents/submitted",
    }
    for theme in ("light", "dark"):
        for width, height in ((1440, 900), (390, 844), (320, 700)):
            page = stories.page(viewport={"width": width, "height": height}, color_scheme=theme)
            for name, path in pages.items():
                settled(page, path)
                place = f"{name} at {width} px, {theme}"
                size = page.evaluate(SIZE)
                assert size["over"] <= 0, f"{place} is {size['over']} px too wide"
                assert size["nodes"] <= NODES_MAX, f"{place} has {size['nodes']} nodes"
                assert size["files"] <= FILES_MAX, f"{place} loads {size['files']} files"
                assert 0 < size["bytes"] <= BYTES_MAX, f"{place} loads {size['bytes']} bytes"
                stories.clean(page, place)
                if width != 320:
                    accessible(page, place)
                if PICTURES and width != 320:
                    page.screenshot(path=PICTURES / f"{name}-{width}-{theme}.png")
            page.context.close()


def without_scripts(stories, failed):
    page = stories.page(java_script_enabled=False)
    settled(page, "/console/requests")
    page.get_by_role("link", name=re.compile(failed[24:])).first.click()
    assert "The request is failed" in page.inner_text("main")
    page.get_by_role("link", name="Tasks", exact=True).click()
    page.get_by_role("link", name="0.2", exact=True).click()
    assert "attempt 1" in page.inner_text("main")
    page.context.close()


def by_keys(stories, failed):
    page = stories.page()
    settled(page, "/console/")
    page.keyboard.press("g")
    page.keyboard.press("f")
    page.wait_for_url("**/console/failures")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type(failed)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/console/requests/{failed}")
    # A first Tab leads to the content.
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    stories.clean(page, "keys")
    page.context.close()


def time_travel(stories, failed):
    page = stories.page()
    settled(page, f"/console/requests/{failed}")
    page.get_by_role("link", name="First", exact=True).click()
    page.wait_for_url(re.compile("at="))
    assert "Actions are off" in page.inner_text("main")
    page.keyboard.press("ArrowRight")
    wait(page, "document.querySelector('.steps .faint').textContent.startsWith('commit 2 of')")
    assert "What this step changed" in page.inner_text("main")
    page.reload()
    assert "commit 2 of" in page.inner_text(".steps")
    page.go_back()
    assert "commit 1 of" in page.inner_text(".steps")
    stories.clean(page, "time travel")
    page.context.close()


def live(stories):
    running = submit([("slow", ["slow-1"])])
    until("it runs", lambda: status(running) == "running")
    page = stories.page()
    settled(page, f"/console/requests/{running}")
    wait(page, "document.querySelector('.live')?.textContent === 'Live'")
    call(f"/valuation/{running}/cancel", json.dumps({"reason": "seen live"}))
    wait(page, "document.querySelector('h1').textContent.includes('cancelled')")
    # Paused, nothing is loaded.
    page.click(".live")
    assert page.inner_text(".live") == "Paused"
    loaded = []
    page.on("request", lambda request: loaded.append(request.url))
    submit([("quick", ["echo-1"])])
    page.wait_for_timeout(1_500)
    assert not loaded, loaded
    stories.clean(page, "live")
    page.context.close()


def ten_tabs(stories, failed):
    """HTTP/1.1 gives a browser six connections, and one stream takes one of them."""
    context = stories.browser.new_context()
    context.set_default_timeout(LIMIT_MS)
    for _ in range(10):
        page = context.new_page()
        page.goto(f"{CONSOLE}/console/requests/{failed}", wait_until="load")
        assert "The request is failed" in page.inner_text("main")
    context.close()


def redrive(stories):
    failed = submit([("prices", ["echo-1", "broken-1"])])
    until("it fails", lambda: status(failed) == "failed")
    page = stories.page()
    settled(page, f"/console/requests/{failed}")
    page.get_by_role("link", name="Redrive…").click()
    assert "runs again" in page.inner_text("main")
    page.get_by_label("Why?").fill("the license is renewed")
    page.get_by_role("button", name="Run what failed again").click()
    page.wait_for_url(f"**/console/requests/{failed}")
    settled(page, f"/console/requests/{failed}?tab=audit")
    assert "the license is renewed" in page.inner_text("main")
    assert "redriven" in page.inner_text("main")
    stories.clean(page, "redrive")
    page.context.close()


def themes(stories):
    page = stories.page(color_scheme="light")
    settled(page, "/console/requests")
    page.get_by_role("link", name="Dark", exact=True).click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    settled(page, "/console/failures")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
    assert paper != "rgb(252, 251, 249)", paper
    page.context.close()


def copy(stories, failed):
    page = stories.page()
    settled(page, f"/console/requests/{failed}")
    button = page.locator("button[data-copy]").first
    button.click()
    wait(page, "document.querySelector('button[data-copy]').textContent !== 'Copy'")
    stories.clean(page, "copy")
    page.context.close()


def main():
    if not AXE:
        print("NOT TESTED: accessibility, because AXE names no axe.min.js (make console-test fetches it)", flush=True)
    failed = submit([("curves", ["echo-1", "broken-1", "echo-2"]), ("risk", ["echo-3"])], x_desk="rates", x_trader="mira")
    hostile = submit(
        [("&lt;b&gt;&quot;", ["echo-1", "broken-&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"])],
        x_desk=HOSTILE,
        x_trader="' onmouseover=alert(3) x='",
    )
    running = submit([("slow", ["slow-1", "echo-1"]), ("after", ["echo-2"])], x_desk="credit")
    for request in (failed, hostile):
        until(f"{request} fails", lambda: status(request) == "failed")
    until("it runs", lambda: status(running) == "running")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stories = Stories(browser)
        stories.run("every page, light and dark, wide and narrow", lambda: every_page(stories, failed, running, hostile))
        stories.run("without scripts", lambda: without_scripts(stories, failed))
        stories.run("with keys only", lambda: by_keys(stories, failed))
        stories.run("time travel", lambda: time_travel(stories, failed))
        stories.run("live and paused", lambda: live(stories))
        stories.run("ten tabs", lambda: ten_tabs(stories, failed))
        stories.run("a redrive", lambda: redrive(stories))
        stories.run("themes", lambda: themes(stories))
        stories.run("copying", lambda: copy(stories, failed))
        browser.close()
    print(f"{len(stories.done)} stories", flush=True)


main()
