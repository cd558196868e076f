"""A disk that is full for a while: nothing that was acknowledged is lost, reads go on, and all is made good afterwards."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import types

import run as outside
import stripe_wire as wire
from armory import Points
from books import fire_checks, read_tables
from driver import API_KEY, SECRETS, START, Database, Drive, unix
from figures import times
from judge import judge
from postgres import Postgres
from service import Service
from siege import DAYS, QUICK, SiegeWorld
from smtp_sink import Sink
from stripe_book import DAY, HOUR, Book
from stripe_fake import Fake
from world import Postman

MIB = 1 << 20
SIZE_MIB = {"sqlite": 64, "postgres": 256}
CASES = 40
# Full at 09:00 of these days, when charges are due, for so many advances.
FULL_DAYS, FULL_AT, TRIES_WHILE_FULL = (2, 4, 5), 9 * HOUR, 4
HEALED_SECS_MAX = 300


@contextlib.contextmanager
def small_disk(kind):
    """A tmpfs of its own, or nothing where that is not allowed."""
    folder = tempfile.mkdtemp(prefix="fire-disk-")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=0755" % SIZE_MIB[kind], "tmpfs", folder], capture_output=True,
                          text=True, check=False)
    try:
        yield folder if done.returncode == 0 else None
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", folder], check=False)
        os.rmdir(folder)


class Ballast:
    """A file that takes what room there is."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "ballast")

    def fill(self):
        with open(self.path, "ab", buffering=0) as file:
            for size in (MIB, 4096, 512):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"\0" * size)

    def drop(self):
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path)


class Starving(Drive):
    """The outside judge's drive, with a disk that is full at times: then an advance may fail, and the clock waits."""

    def prepare(self, ballast, postgres):
        self.ballast, self.postgres, self.failed, self.read, self.healed = ballast, postgres, 0, 0, []

    def step(self, t):
        if divmod(t - START, DAY) in [(day, FULL_AT) for day in FULL_DAYS]:
            self.starve(t)
        super().step(t)

    def starve(self, t):
        """What is due at this hour, and the webhooks of the hour, without room to write."""
        self.book.set_now(t)
        for _ in range(TRIES_WHILE_FULL):
            self.ballast.fill()       # what was freed meanwhile, too
            self.failed += self.recoup.advance(t)[0] != 200
            self.read += self.recoup.api("GET", "/v1/cases")[0] == 200
            self.postman.collect()
            self.postman.deliver(self.recoup.webhook, SECRETS[0])
        self.ballast.drop()
        if self.postgres:
            self.postgres.start()
        began = time.monotonic()
        while time.monotonic() - began < HEALED_SECS_MAX:
            # What could not be written rests until its lease ends, by the real clock.
            if self.recoup.advance(t)[0] == 200 and not self.overdue(t) and not self.pending(t):
                break
            time.sleep(1)
        self.healed.append(time.monotonic() - began)

    def pending(self, t):
        rows, _ = self.recoup.all("/v1/inbox?status=pending")
        return [row for row in rows if unix(row["next_at"]) <= t]


def play_disk(options, kinds, figures):
    for kind in kinds:
        with small_disk(kind) as folder:
            if folder is None:
                print("\nDisk full, %s: skipped, a tmpfs cannot be mounted here (that takes root)" % kind)
                continue
            with database_on(kind, folder) as (postgres, database):
                starve(options, kind, folder, postgres, database, figures)


@contextlib.contextmanager
def database_on(kind, folder):
    if kind == "sqlite":
        yield None, types.SimpleNamespace(kind=kind, url="sqlite://" + os.path.join(folder, "fire.db"), drop=lambda: None)
        return
    own = Postgres(os.path.join(folder, "pg"))
    before = os.environ.get("RECOUP_TEST_POSTGRES", "")
    os.environ["RECOUP_TEST_POSTGRES"] = own.url
    try:
        yield own, Database(kind)
    finally:
        own.remove()
        os.environ["RECOUP_TEST_POSTGRES"] = before


def starve(options, kind, folder, postgres, database, figures):
    seed, began = options.seed, time.monotonic()
    book = Book(wire.NEW, START, seed)
    fake, sink = Fake(book, API_KEY), Sink(book.tick)
    world, postman = SiegeWorld(book, CASES, DAYS, seed, QUICK), Postman(book, seed)
    service = Service(options.binary, database.url, fake.base, sink.port, Points(0, seed))
    drive = Starving(service, book, sink, world, postman, "disk full, " + kind)
    drive.prepare(Ballast(folder), postgres)
    drive.strange = fake.strange
    try:
        drive.run()
        unheard = [row for row in postman.refused if row[2] == 503]
        postman.refused = [row for row in postman.refused if row[2] != 503]
        evidence = outside.gather(service, book, sink, drive)
        evidence.exit_code = service.stop()
        evidence.troubles += service.troubles
        service.deaths += [("full", 0) for _ in drive.healed]    # each may cost the knowledge of mails, as a death does
        checks = judge(evidence) + fire_checks(evidence, read_tables(database), service)
        figures.judge(drive.title, evidence, checks)
        print("\nDisk full, %s: %d times, %d cases, %d s" % (kind, len(drive.healed), len(evidence.cases), time.monotonic() - began))
        print("  advances that failed %d of %d, webhooks answered 503 and taken later %d, lists read meanwhile %d; nothing overdue any more"
              " after there was room: %s" % (drive.failed, TRIES_WHILE_FULL * len(drive.healed), len(unheard), drive.read,
                                             times(drive.healed)), flush=True)
        if not unheard and not drive.failed:
            figures.fault("the disk was never full enough to be noticed")
    finally:
        service.stop()
        if options.keep_log:
            shutil.copyfile(service.log.name, options.keep_log)
        service.remove()
        fake.close()
        sink.close()
