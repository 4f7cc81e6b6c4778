"""The pages in a browser, as wide as a phone and as a desk: nothing sticks out, no picture is lost.

One run of Chromium looks at all of them, in frames of a page that this file serves beside them.
"""

import json
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

LOOK = """<!doctype html><body><script>
const pages = %s, found = [];
function look(page, width, scheme) {
  return new Promise(done => {
    const frame = document.createElement("iframe");
    frame.style = `width: ${width}px; height: 900px; border: 0`;
    frame.onload = async () => {
      const inner = frame.contentDocument;
      inner.body.dataset.theme = scheme;
      const images = [...inner.images].filter(image => getComputedStyle(image).display != "none");
      for (const image of images) image.loading = "eager";
      await Promise.all(images.map(image => image.decode().catch(() => 0)));
      found.push({
        page, width, scheme,
        over: Math.max(...[...inner.querySelectorAll("html, .content")].map(
          part => part.scrollWidth - part.clientWidth)),  // content may scroll by itself
        lost: images.filter(image => !image.naturalWidth).map(image => image.src),
        formulas: inner.querySelectorAll("math").length,
        paper: getComputedStyle(inner.body).backgroundColor,
      });
      frame.remove();
      done();
    };
    frame.src = page;
    document.body.append(frame);
  });
}
(async () => {
  for (const page of pages)
    for (const [width, scheme] of [[390, "light"], [1280, "dark"]]) await look(page, width, scheme);
  document.body.textContent = JSON.stringify(found);
})();
</script>"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def looked_at(folder: Path, pages: list[str]) -> list[dict[str, object]]:
    (folder / "look.html").write_text(LOOK % json.dumps(pages))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/look.html"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1300,1000"]
    try:
        shown = subprocess.run(
            [str(CHROMIUM), *flags, "--virtual-time-budget=6000000", "--dump-dom", address],
            capture_output=True, text=True, timeout=400, check=True,
        )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
    body = re.search(r"<body>(\[.*\])</body>", shown.stdout, re.S)
    assert body, shown.stdout[-2000:]
    return list(json.loads(unescape(body[1])))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_pages_fit_a_phone_and_a_desk(tmp_path: Path) -> None:
    folder = tmp_path / "html"
    build = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(ROOT / "docs"), str(folder)]
    subprocess.run(build, check=True, timeout=400)
    wrong = "<div style='width: 1500px; height: 1px'></div><img src='lost.png'>"
    (folder / "wide.html").write_text(wrong)
    pages = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*.html")
        if path.parts[len(folder.parts)] not in ("_modules", "_static")
    )
    found = {(each["page"], each["width"]): each for each in looked_at(folder, pages)}
    assert len(found) == 2 * len(pages)
    seen = [found.pop(("wide.html", width)) for width in (390, 1280)]  # what is wrong is seen
    assert all(each["over"] > 100 and each["lost"] for each in seen)
    out = {key: each["over"] for key, each in found.items() if each["over"] > 0}
    assert not out, f"sticks out: {out}"
    for each in found.values():
        assert not each["lost"], f"{each['page']} lost {each['lost']}"
    for page in ("reference/presets.html", "atlas.html"):
        assert found[page, 390]["formulas"] > 60
    papers = {scheme: {each["paper"] for each in found.values() if each["scheme"] == scheme}
              for scheme in ("light", "dark")}  # fmt: skip
    assert len(papers["light"]) == len(papers["dark"]) == 1
    assert papers["light"] != papers["dark"]
