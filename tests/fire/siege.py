"""A world of failed payments under the test clock, played to its end while the process that handles it is killed."""

import dataclasses
import random
import shutil
import time

import run as outside
import stripe_wire as wire
from books import fire_checks, read_tables
from driver import API_KEY, START, Database, Drive
from judge import judge
from service import Service
from smtp_sink import Sink
from stripe_book import DAY, HOUR, Book, Refused
from stripe_fake import Fake
from world import FATES, Postman, World

# The outside judge plays what is left out here. A call that hangs costs 30 s of real time. And a customer who pays within a quarter of
# an hour of a charge that nobody ever heard of again is taken for a success of that charge, as the service says; with many
# sendings after many deaths that happens now and then.
QUICK = {name: fate for name, fate in FATES.items()
         if name != "unknown_then_pays" and not any("hang" in fault for rows in fate[2].values() for fault in rows)}
DAYS = 36


@dataclasses.dataclass
class Played:
    """What one world leaves behind."""
    title: str
    evidence: object
    checks: list
    service: object
    requests: int
    secs: float


class SiegeWorld(World):
    """Besides its long outage the provider is away for an hour every second morning, when most is due."""

    def set_outage(self, span):
        super().set_outage(span)
        mornings = range(self.start + DAY, self.start + DAYS * DAY, 2 * DAY)
        self.book.down += [(day + 19 * HOUR // 2, day + 21 * HOUR // 2, "503") for day in mornings]


class WatchedFake(Fake):
    """Tells of each request, before and after, and cannot be read now and then."""

    def __init__(self, book, key, sign, seed):
        self.sign, self.requests, self.dice = sign, 0, random.Random(seed)
        super().__init__(book, key)

    def route(self, http, path, query, form):
        if http.command == "GET" and self.dice.random() < 0.01:
            raise Refused(503, wire.error("Service unavailable", "api_error"))
        return super().route(http, path, query, form)

    def answer(self, http):
        self.requests += 1
        self.sign()
        super().answer(http)
        self.sign()


class WatchedSink(Sink):
    def __init__(self, tick, sign):
        self.sign = sign
        super().__init__(tick)

    def keep(self, to, raw):
        super().keep(to, raw)
        self.sign()


def play(options, kind, cases, seed, armory, title):
    """One world from its first failure until every case is closed."""
    began, version = time.monotonic(), wire.NEW if seed % 2 else wire.OLD
    book = Book(version, START, seed)
    fake, sink = WatchedFake(book, API_KEY, armory.sign, seed), WatchedSink(book.tick, armory.sign)
    world, postman = SiegeWorld(book, cases, DAYS, seed, QUICK), Postman(book, seed)
    database = Database(kind)
    service = Service(options.binary, database.url, fake.base, sink.port, armory)
    drive = Drive(service, book, sink, world, postman, title)
    drive.strange = fake.strange
    try:
        drive.run()
        service.rest()
        drive.advance(drive.ended)
        evidence = outside.gather(service, book, sink, drive)
        evidence.exit_code = 0
        evidence.troubles += service.troubles
        tables = read_tables(database)
        return Played(title, evidence, judge(evidence) + fire_checks(evidence, tables, service), service, fake.requests,
                      time.monotonic() - began)
    finally:
        service.stop()
        if options.keep_log:
            shutil.copyfile(service.log.name, options.keep_log)
        service.remove()
        fake.close()
        sink.close()
        database.drop()
