"""The dashboard in a browser, as billing staff use it: python3 tests/browser/desk.py --binary BIN --out FOLDER

Plays the demo, signs in with the key it prints, and does a morning's work by clicks and keys: finds a case, pauses and resumes it, retries
it, reads a mail as the customer saw it, pauses several cases after a look at what would happen, reads a report, saves its file, follows the
feed, reads everything in German. Keeps a picture of each page at the widths of a phone and of a desk, light and dark, and lets axe judge
each by WCAG 2.2 AA; what it finds serious or critical is wrong. So is something that does not fit, a page with more or less than one
heading, a request to somebody else, an error of the policy of contents. Exit 1 with a list of what is wrong. Needs `playwright`,
`axe-playwright-python` and Debian's chromium.
"""

import argparse
import csv
import pathlib
import re
import shutil
import subprocess
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

WIDTHS = (390, 1280)
# What axe judges by. Mails in frames are judged where they are written.
AXE = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "resultTypes": ["violations"],
    "iframes": False,
}
GRAVE = ("serious", "critical")
# WCAG 2.2, 1.4.3.
CONTRAST_MIN = 4.5
WAIT_MS = 30_000
# Enough for cases that were lost, and for the messages of a whole campaign.
DAYS = "30"

PAGES = (
    "",
    "/cases",
    "/cases?needs_person=true",
    "/desk",
    "/reports",
    "/reports?cohort=week",
    "/reports/funnel",
    "/reports/ages",
    "/reports/attempts",
    "/reports/churn?margin=80&leaving=2.5&fee_minor=14&message_minor=1",
    "/reports/attribution",
    "/reports/definitions",
    "/reports/rates",
    "/learning",
    "/messages",
    "/campaigns",
    "/inbox",
    "/audit",
    "/people",
    "/health",
    "/me",
    "/cases/none",
)
# What axe does not ask, or does not find grave; and contrast once more, for axe leaves open what is drawn, scrolled out of sight, or beside
# a generated sign.
LOOK = """
() => {
  const wrong = [];
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`${document.documentElement.scrollWidth} pixels wide`);
  if (document.querySelectorAll('h1').length !== 1) wrong.push('not one heading');
  const top = document.querySelector('header.top');
  if (top && innerWidth >= 1280 && top.offsetHeight > 70) wrong.push('the menu takes more than one row');
  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) wrong.push(`the id ${id} stands twice`);
  const light = (color) => {
    const [r, g, b] = color.map((part) => { const s = part / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      // Colours that were mixed are told in another notation, and are faint by intention.
      if (!color.startsWith('rgb')) continue;
      const parts = parse(color);
      if (parts.length === 3 || parts[3] > 0.99) return parts.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.getClientRects().length || element.closest('option, .hidden, .skip')) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(element.closest('svg') ? style.fill : style.color).slice(0, 3)), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < %s) wrong.push(`contrast ${contrast.toFixed(2)}: ${node.textContent.trim().slice(0, 40)}`);
  }
  return wrong;
}
""" % CONTRAST_MIN


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--binary", required=True, type=pathlib.Path)
    arguments.add_argument("--out", required=True, type=pathlib.Path)
    asked = arguments.parse_args()
    shutil.rmtree(asked.out, ignore_errors=True)
    asked.out.mkdir(parents=True)
    demo = subprocess.Popen(
        [asked.binary.resolve(), "demo", "--listen", "127.0.0.1:0", "--days", DAYS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        base, key = told(demo.stdout)
        desk = Desk(base, asked.out)
        desk.work(key)
    finally:
        demo.terminate()
        demo.wait()
    print(f"{desk.shown} pictures in {asked.out}")
    for line in desk.wrong:
        print(f"wrong: {line}")
    sys.exit(1 if desk.wrong or not desk.shown else 0)


def told(lines):
    """The address and the key, which the demo prints once it has played."""
    base = key = None
    for line in lines:
        if found := re.match(r"listening on (\S+)", line):
            base = found[1]
        if found := re.match(r"\s*API key\s+(\S+)", line):
            key = found[1]
        if "Ctrl-C ends the demo" in line:
            return base, key
    raise SystemExit("the demo ended before it was ready")


class Desk:
    def __init__(self, base, out):
        self.base, self.out = base, out
        self.wrong, self.shown = [], 0

    def work(self, key):
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", accept_downloads=True)
            context.set_default_timeout(WAIT_MS)
            page = context.new_page()
            page.on("request", self.is_ours)
            page.on("console", lambda said: said.type == "error" and self.wrong.append(f"{page.url}: {said.text}"))
            self.sign_in(page, key)
            case = self.find_a_case(page)
            self.act_on(page, case)
            self.several(page)
            self.read(page)
            self.go_by_menu(page)
            self.follow(page, case)
            self.pictures(browser, context, case)
            browser.close()

    def is_ours(self, request):
        if request.url.startswith("http") and not request.url.startswith(self.base + "/"):
            self.wrong.append(f"asks {request.url}")

    def expect(self, holds, what):
        if not holds:
            self.wrong.append(what)

    def sign_in(self, page, key):
        page.goto(f"{self.base}/dashboard/login")
        page.get_by_text("Use an API key instead").click()
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in with the key").click()
        page.get_by_role("heading", name="Overview", exact=True).wait_for()

    def find_a_case(self, page):
        """By keys alone: an open case whose timers run, found again by its invoice."""
        page.goto(f"{self.base}/dashboard/cases?status=open&state=waiting")
        if not page.locator("table.list tbody tr").count():
            page.goto(f"{self.base}/dashboard/cases?status=open&state=scheduled")
        invoice = page.locator("table.list tbody tr td a").first.inner_text()
        page.goto(f"{self.base}/dashboard/cases")
        page.get_by_role("searchbox").focus()
        page.keyboard.type(invoice)
        page.keyboard.press("Enter")
        link = page.get_by_role("link", name=invoice)
        link.wait_for()
        self.expect(page.locator("table.list tbody tr").count() == 1, f"{invoice} is not found alone")
        link.focus()
        page.keyboard.press("Enter")
        page.get_by_text("What comes next").wait_for()
        return page.url

    def act_on(self, page, case):
        page.goto(case)
        self.act(page, "pause", until="2099-01-01T10:00")
        self.expect("paused" in page.locator("h1").inner_text(), "the case is not paused")
        self.act(page, "resume")
        self.expect("paused" not in page.locator("h1").inner_text(), "the case is not resumed")
        # The rules may allow no charge: then the page says so instead of offering it.
        if page.locator('form[action$="/retry"]').count():
            self.act(page, "retry")
        else:
            told = page.locator("details.act").filter(has_text="retr").first.text_content()
            self.expect(len(told.split()) > 5, f"why there is no retry is not told: {told}")

    def act(self, page, verb, **fields):
        form = page.locator(f'form[action$="/{verb}"]')
        page.locator("details", has=form).last.evaluate("details => details.open = true")
        for name, value in fields.items():
            form.locator(f'[name="{name}"]').fill(value)
        form.get_by_role("button").click()
        page.locator(".notice.good, .notice.bad").first.wait_for()

    def several(self, page):
        page.goto(f"{self.base}/dashboard/cases?status=open")
        for box in page.locator('input[name="id"]').all()[:3]:
            box.check()
        page.get_by_label("What", exact=True).select_option("note")
        page.get_by_label("Comment").fill("Looked at together.")
        page.get_by_role("button", name="Show what would happen").click()
        page.get_by_text("Nothing is done yet.").wait_for()
        self.look(page, "bulk")
        page.get_by_role("button", name="Yes, do it to 3 cases").click()
        page.get_by_text("Done to 3 of 3 cases.").wait_for()
        sent = []
        page.on("request", lambda request: request.method == "POST" and sent.append(request.url))
        page.reload()
        page.get_by_text("Done to 3 of 3 cases.").wait_for()
        self.expect(not sent, f"loading the result again sends {sent}")
        # A view is kept under a name and opened by its link.
        page.goto(f"{self.base}/dashboard/cases?status=open&sort=largest")
        page.get_by_label("Keep this list as a view").fill("Largest first")
        page.get_by_role("button", name="Keep", exact=True).click()
        page.get_by_role("link", name="Largest first").click()
        self.expect(page.url.endswith("?status=open&sort=largest"), f"the view leads to {page.url}")

    def read(self, page):
        mail = self.find_a_mail(page)
        mail.evaluate("details => details.open = true")
        frame = mail.frame_locator("iframe")
        frame.locator("body").wait_for()
        self.expect(len(frame.locator("body").inner_text().strip()) > 40, "the mail shows no text")
        page.goto(f"{self.base}/dashboard/reports")
        page.get_by_role("heading", name="Reports", exact=True).wait_for()
        # A figure leads to its definition, which is folded away until then.
        meant = page.locator("#def-maturity")
        self.expect(not meant.is_visible(), "the definitions are not folded away")
        page.locator('a[href="#def-maturity"]').first.click()
        meant.wait_for()
        with page.expect_download() as download:
            page.locator('a[href*=".csv"]').first.click()
        with open(download.value.path(), newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        self.expect(len(rows) > 1 and len({len(row) for row in rows}) == 1, "the file of the report is no table")

    def go_by_menu(self, page):
        """By keys alone, to a page that is folded away in the menu."""
        page.locator("header summary").focus()
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Health", exact=True).focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Queues").wait_for()

    def find_a_mail(self, page):
        """Of a recovered case: some are written nothing, and a mail that was not sent has no text."""
        page.goto(f"{self.base}/dashboard/cases?status=recovered")
        cases = [link.get_attribute("href") for link in page.locator('table.list a[href^="/dashboard/cases/"]').all()]
        for case in cases:
            page.goto(f"{self.base}{case}")
            mails = page.locator("details.mail", has=page.locator("iframe"))
            if mails.count():
                return mails.last
        raise SystemExit(f"none of {len(cases)} recovered cases shows a mail")

    def follow(self, page, case):
        """A note that is written elsewhere comes up by itself."""
        page.goto(f"{self.base}/dashboard")
        page.locator("#feed li").first.wait_for()
        other = page.context.new_page()
        other.goto(case)
        form = other.locator('form[action$="/notes"]')
        other.locator("details", has=form).last.evaluate("details => details.open = true")
        form.locator("textarea").fill("Written while somebody watches.")
        form.get_by_role("button").click()
        other.locator(".notice.good").wait_for()
        other.close()
        page.locator("#feed li.new").first.wait_for()

    def pictures(self, browser, context, case):
        pages = [(re.sub(r"\W", "-", path.strip("/")) or "overview", f"{self.base}/dashboard{path}") for path in PAGES]
        pages.append(("campaign", f"{self.base}/dashboard/campaigns?version=default@2"))
        pages.append(("campaign-text", f"{self.base}/dashboard/campaigns/write?version=default@2"))
        pages.append(("case", case))
        known = context.storage_state()
        for language in ("en-GB", "de-DE"):
            for scheme in ("light", "dark"):
                for width in WIDTHS:
                    reader = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "locale": language}
                    login = [("login", f"{self.base}/dashboard/login")]
                    for seen, state in ((login, None), (pages, known)):
                        look = browser.new_context(**reader, storage_state=state)
                        page = look.new_page()
                        page.on("request", self.is_ours)
                        for name, address in seen:
                            page.goto(address)
                            self.look(page, f"{name}-{language[:2]}-{width}-{scheme}")
                        if state:
                            page.locator("header summary").click()
                            self.look(page, f"menu-{language[:2]}-{width}-{scheme}")
                        look.close()

    def look(self, page, name):
        self.wrong += [f"{name}: {line}" for line in page.evaluate(LOOK)]
        for found in Axe().run(page, options=AXE).response["violations"]:
            if found["impact"] in GRAVE:
                self.wrong += [f"{name}: {found['id']}: {' '.join(node['target'])}" for node in found["nodes"]]
        page.screenshot(path=self.out / f"{name}.png", full_page=True)
        self.shown += 1


if __name__ == "__main__":
    main()
