"""JupyterLab as a reader meets it: started by `make lab`, driven in a real browser.

Each check returns the faults that it finds, a line each: the tests ask for none of the
course's notebooks, and for its own of a notebook with faults.
"""

import os
import re
import shutil
import signal
import string
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync""".split()
LAB = "--no-browser --allow-root --expose-app-in-browser"
THEMES = ("JupyterLab Light", "JupyterLab Dark")
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
SECONDS_TO_START = 120
SECONDS_TO_RUN = 900  # one notebook, on a slow machine with other tests beside it
SECONDS_TO_STOP = 20
SECONDS_TO_OPEN = 5
SECONDS_TO_WRITE = 120
HTTPS = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(/[^\s<>\"]*)?", re.IGNORECASE)
FRONT = ".jp-NotebookPanel:not(.lm-mod-hidden)"
# what a reader might type: a word of most vocabularies, then any character as a guess
TEXTS = ("the", ".", " ", *string.ascii_letters, *string.digits, *string.punctuation)

IS_READY = """() => {
    const front = window.jupyterapp?.shell?.currentWidget;
    if (!front?.context?.isReady) return false;
    const cells = front.content.widgets ?? [];
    const links = front.node.querySelectorAll(".jp-RenderedMarkdown a[href]");
    // JupyterLab draws cells when it is idle, and sets a link's target last
    return cells.every(cell => cell.isAttached && !cell.placeholder)
        && [...links].every(link => link.target);
}"""
# null once the document is in front, scrolled to its heading
ARRIVAL = """([path, heading]) => {
    const front = jupyterapp.shell.currentWidget;
    if (front?.context?.path !== path || !front.context.isReady) return "does not open";
    if (!heading) return null;
    const name = JSON.stringify(heading);
    const place = front.node.querySelector(`[id=${name}], [data-jupyter-id=${name}]`);
    const [box, frame] = [place, front.node].map(e => e?.getBoundingClientRect());
    const seen = box?.height && box.top >= frame.top && box.bottom <= frame.bottom;
    return seen ? null : "leads to no heading";
}"""
# Counts the messages of widgets that the kernel has not dealt with yet.
WATCH = """() => {
    window.pending = new Set();
    const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    kernel.anyMessage.connect((_, {direction, msg}) => {
        const sent = direction === "send" && msg.header.msg_type === "comm_msg";
        if (sent) pending.add(msg.header.msg_id);
        if (msg.content.execution_state === "idle")
            pending.delete(msg.parent_header.msg_id);
    });
}"""
RUN = """() => {
    window.ran = false;
    const done = jupyterapp.commands.execute("notebook:run-all-cells");
    done.then(() => { window.ran = true; });
}"""
HAS_RUN = """() => window.ran
    && jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === "idle"
"""
ERRORS = """() => {
    const cells = jupyterapp.shell.currentWidget.content.widgets;
    return cells.flatMap((cell, number) =>
        (cell.model.outputs?.toJSON() ?? [])
            .filter(output => output.output_type === "error")
            .map(output => `cell ${number}: ${output.ename}: ${output.evalue}`));
}"""
EXECUTE = """([command, options]) => {
    jupyterapp.commands.execute(command, options);
}"""


def copy_repository(target):
    """Copy what git would commit into `target`, so that nothing here changes."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.check_output(command, cwd=ROOT, text=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


@contextmanager
def serve(repository, folder):
    """Run `make lab` in `repository`; yield the page that it would open in a browser.

    Jupyter's own files, settings and workspaces among them, lie in `folder`.
    """
    kinds = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    env = os.environ | {kind: str(folder / kind) for kind in (*kinds, "IPYTHONDIR")}
    paths = [str(repository), *filter(None, [os.environ.get("PYTHONPATH")])]
    env["PYTHONPATH"] = os.pathsep.join(paths)
    env.pop("MAKEFLAGS", None)  # of the `make test` that runs this
    # -o: this environment is the installed one, whatever the dates of its files
    command = ["make", "-o", f"{sys.prefix}/.installed", "lab"]
    command += [f"VENV={sys.prefix}", f"LAB={LAB}"]
    log = folder / "lab.log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            command,
            cwd=repository,
            env=env,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield _page_to_open(server, folder / "JUPYTER_RUNTIME_DIR", log)
        finally:
            _stop(server)


def _page_to_open(server, runtime, log):
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end and server.poll() is None:
        for page in runtime.glob("jpserver-file-to-run-*-open.html"):
            if page.stat().st_size:
                return page.as_uri()
        time.sleep(0.1)
    raise RuntimeError(f"make lab did not start:\n{log.read_text()}")


def _stop(server):
    """Let make end JupyterLab and its kernels; whatever then still hangs is killed."""
    server.terminate()  # make passes it on: JupyterLab may hang if it comes twice
    with suppress(subprocess.TimeoutExpired):
        server.wait(SECONDS_TO_STOP)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


@contextmanager
def browse(page_to_open):
    """Open a page in the machine's browser; yield the `Lab` that it leads to."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1200})
        lab = Lab(page)
        page.goto(page_to_open)
        lab.wait_until(IS_READY)
        yield lab
        browser.close()


class Lab:
    """JupyterLab in a browser, one document in front."""

    def __init__(self, page):
        self.page = page
        self.errors = []  # of the browser's console
        page.on("console", self._note)
        page.on("pageerror", self._note_exception)

    def _note(self, message):
        if message.type == "error":
            self.errors.append(f"console: {message.text}")

    def _note_exception(self, error):
        self.errors.append(f"page: {error}")

    def console_faults(self):
        """The errors in the console since the last call."""
        self.page.wait_for_timeout(200)  # for what is on its way
        errors, self.errors = self.errors, []
        return errors

    def wait_until(self, condition, seconds=60):
        """Wait until a JavaScript function returns true."""
        self.page.wait_for_function(condition, timeout=1000 * seconds, polling=100)

    def path(self):
        """The path of the document in front, from JupyterLab's root."""
        return self.page.evaluate("jupyterapp.shell.currentWidget.context.path")

    def open(self, path):
        """Bring a document to the front, a notebook's collapsed sections unfolded."""
        self._execute("docmanager:open", path=path)
        self.wait_until(
            f"() => jupyterapp.shell.currentWidget?.context?.path === {path!r}"
        )
        self._execute("notebook:expand-all-headings")
        self.wait_until(IS_READY)

    def _execute(self, command, **options):
        self.page.evaluate(EXECUTE, [command, options])

    def link_faults(self, path):
        """Follow every link of a notebook's markdown: inside it must open."""
        self.open(path)
        links = f"{FRONT} .jp-RenderedMarkdown a[href]:not(.jp-InternalAnchorLink)"
        addresses = self.page.locator(links).evaluate_all(
            "links => links.map(link => [link.textContent, link.getAttribute('href')])"
        )
        faults = []
        for index, (text, address) in enumerate(addresses):
            fault = self._outside(address)
            if fault is None:
                self.open(path)
                self.page.locator(links).nth(index).dispatch_event("click")
                fault = self._arrival(path, address)
            if fault:
                faults.append(f"{text}: {fault}")
        return faults

    def _outside(self, address):
        """What is wrong with an address outside; None for one inside."""
        inside = self.page.evaluate("location.origin") + "/files/"
        if address.startswith(("#", inside)):
            return None
        return "" if HTTPS.fullmatch(address) else f"{address} is no https address"

    def _arrival(self, path, address):
        """What is wrong where a link has led."""
        parts = urlsplit(address)
        if not address.startswith("#"):
            path = unquote(parts.path).removeprefix("/files/")
        errors = len(self.errors)
        end = time.monotonic() + SECONDS_TO_OPEN
        while True:
            where = [path, unquote(parts.fragment)]
            fault = self.page.evaluate(ARRIVAL, where)
            given_up = len(self.errors) > errors or time.monotonic() > end
            if fault is None or given_up:
                return fault
            self.page.wait_for_timeout(50)

    def run_faults(self, path):
        """Run a notebook to its end: the errors in its outputs."""
        self.open(path)
        self.wait_until(
            "() => jupyterapp.shell.currentWidget.sessionContext.session?.kernel"
        )
        self.page.evaluate(RUN)
        self.wait_until(HAS_RUN, SECONDS_TO_RUN)
        return self.page.evaluate(ERRORS)

    def widget_faults(self, path):
        """Move every control of a notebook that has run: the picture must change."""
        self.open(path)
        self.page.evaluate(WATCH)
        panels = self.page.locator(f"{FRONT} .widget-vbox").all()
        faults = [] if panels else ["shows no widget"]
        for panel in panels:
            button = panel.locator("button")
            self._press(button)
            for control in panel.locator(".widget-inline-hbox:not(.widget-html)").all():
                if not self._moves(panel, control, button):
                    faults.append(f"{control.inner_text().split()[0]}: moves nothing")
        return faults

    def _moves(self, panel, control, button):
        """Whether one of a control's values changes the picture of its panel."""
        before = self._picture(panel)
        for move in _moves_of(control):
            move()
            self._press(button)
            after = self._picture(panel)
            if after != before and 'role="alert"' not in after:
                return True
        return False

    def _picture(self, panel):
        return panel.locator(".widget-html-content").last.inner_html()

    def _press(self, button):
        """Press the button, if there is one; wait until the kernel has answered all."""
        if button.count():
            button.click()
        for _ in range(2):  # a second message may have waited for the first
            self.wait_until("() => !pending.size", SECONDS_TO_WRITE)
            self.page.wait_for_timeout(100)

    def contrast_faults(self, path, theme, screenshots):
        """What cannot be read in a theme, of which a screenshot is kept."""
        self.open(path)
        self._execute("apputils:change-theme", theme=theme)
        self.wait_until(f"() => document.body.dataset.jpThemeName === {theme!r}")
        widgets = self.page.locator(f"{FRONT} .widget-vbox")
        shown = widgets if widgets.count() else self.page.locator(f"{FRONT} table")
        shown.first.evaluate("element => element.scrollIntoView()")
        name = f"{Path(path).stem} {theme}.png"
        self.page.screenshot(path=screenshots / name)
        return self.page.evaluate(CONTRAST)


def _moves_of(control):
    """What a reader can do with a control, one call each."""
    slider = control.locator(".noUi-handle")
    menu = control.locator("select")
    box = control.locator("input[type=checkbox]")
    line = control.locator("input[type=text]")
    if slider.count():
        return [lambda key=key: slider.press(key) for key in ("End", "Home")]
    if menu.count():
        options = range(menu.locator("option").count())
        return [lambda i=i: menu.select_option(index=i) for i in options]
    if box.count():
        return [box.click]
    return [lambda text=text: _write(line, text) for text in TEXTS]


def _write(line, text):
    line.fill(text)
    line.press("Enter")
