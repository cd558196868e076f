"""Every message in every language in a browser: python3 tests/browser/mails.py --binary BIN --out FOLDER

Starts the service, opens each preview at the widths of a phone and of a mail program, light and dark, keeps a picture of each, and
checks what a reader would stumble over: something that does not fit, a text too faint to read, a button too small to hit, a picture
without words, a request to somebody else. Exit 1 with a list of what is wrong. Needs `playwright` and Debian's chromium.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

from playwright.sync_api import sync_playwright

KEY = "a-key-for-the-browser-tests"
WIDTHS = (360, 720)
# WCAG 2.2, 1.4.3 and 2.5.8.
CONTRAST_MIN = 4.5
TARGET_PX_MIN = 24

# What is wrong with the page as it stands.
LOOK = """
() => {
  const wrong = [];
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`${document.documentElement.scrollWidth} pixels wide`);
  if (!document.documentElement.lang) wrong.push('no language');
  if (!document.title) wrong.push('no title');
  for (const image of document.images) if (!image.alt) wrong.push('a picture without words');
  for (const table of document.querySelectorAll('table'))
    if (table.getAttribute('role') !== 'presentation' && !table.querySelector('th[scope]')) wrong.push('a table for the looks that says it is data');
  if (document.querySelectorAll('h1').length !== 1) wrong.push('not one heading');
  const light = (color) => {
    const [r, g, b] = color.map((part) => { const s = part / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0.99) return color.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.getClientRects().length || ['STYLE', 'TITLE'].includes(element.tagName)) continue;
    if (element.closest('[style*="display:none"]')) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color).slice(0, 3)), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < %s) wrong.push(`contrast ${contrast.toFixed(2)}: ${node.textContent.trim().slice(0, 40)}`);
  }
  for (const link of document.querySelectorAll('a')) {
    const box = link.getBoundingClientRect();
    if (box.height < %s && link.closest('table[bgcolor], td[bgcolor]')) wrong.push(`a button of ${box.height} pixels`);
  }
  return wrong;
}
""" % (CONTRAST_MIN, TARGET_PX_MIN)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--binary", required=True, type=pathlib.Path)
    arguments.add_argument("--out", required=True, type=pathlib.Path)
    asked = arguments.parse_args()
    shutil.rmtree(asked.out, ignore_errors=True)
    asked.out.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="recoup-mails.") as folder:
        service = start(asked.binary.resolve(), folder)
        try:
            base = service.stdout.readline().split()[-1].decode()
            wrong, shown = look(base, asked.out)
        finally:
            service.terminate()
            service.wait()
    print(f"{shown} pictures in {asked.out}")
    for line in wrong:
        print(f"wrong: {line}")
    sys.exit(1 if wrong or not shown else 0)


def start(binary, folder):
    settings = {
        "RECOUP__HTTP__LISTEN": "127.0.0.1:0",
        "RECOUP__ADMIN__BOOTSTRAP_KEY": KEY,
        "RECOUP__MAIL__BRAND": "Larkspur",
        "RECOUP__MAIL__COLOR": "#0b6e4f",
        "RECOUP__MAIL__SUPPORT": "help@larkspur.example",
        "RECOUP__MAIL__ADDRESS": "Larkspur GmbH, Sonnenallee 1, 12045 Berlin",
    }
    return subprocess.Popen(
        [binary, "serve"], cwd=folder, env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def get(base, path):
    request = urllib.request.Request(base + path, headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def look(base, out):
    wrong, shown = [], 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width in WIDTHS:
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page.on("request", lambda request: wrong.append(f"asks {request.url}") if request.url.startswith("http") else None)
                for message in get(base, "/v1/templates")["data"]:
                    for locale in message["locales"]:
                        mail = get(base, f"/v1/templates/{message['name']}/preview?locale={locale}")
                        page.set_content(mail["html"])
                        what = f"{message['name']} in {locale}, {width} px, {scheme}"
                        wrong += [f"{what}: {line}" for line in page.evaluate(LOOK)]
                        # The dark ones are looked at in one language: they differ in nothing but colours.
                        if scheme == "light" or locale == "en":
                            page.screenshot(path=out / f"{message['name']}-{locale}-{width}-{scheme}.png", full_page=True)
                            shown += 1
                page.close()
        browser.close()
    return wrong, shown


if __name__ == "__main__":
    main()
