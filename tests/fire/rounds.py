"""The rounds: what is done to the binary, how often, and which figures come of it."""

import sys
import time

from armory import AtRandom, Points, points
from disk import play_disk
from figures import Sum
from postgres import server
from replicas import play_clock, play_replicas, play_stop
from siege import play

__all__ = ["play_clock", "play_disk", "play_replicas", "play_stop"]

CASES_A_WORLD = 150
WORLDS_MAX = 60
# What one case brings at the provider, in mails and in webhooks, measured; it only spaces random kills.
SIGNS_A_CASE = 250


def play_points(options, kinds, figures):
    for kind in kinds:
        with server(kind):
            one_points_round(options, kind, figures)


def one_points_round(options, kind, figures):
    armory, total, began = Points(options.each, options.seed), Sum(), time.monotonic()
    for world in range(WORLDS_MAX):
        cases = 60 if options.each == 1 else CASES_A_WORLD
        title = "points, %s, world %d" % (kind, options.seed + world)
        played = play(options, kind, cases, options.seed + world, armory, title)
        figures.judge(title, played.evidence, played.checks)
        total.add(played)
        told(title, played, armory)
        if armory.done():
            break
    total.landed = armory.landed
    total.show("Kills at named points, %s" % kind, time.monotonic() - began)
    width = max(map(len, points()))
    for name in points():
        print("  %-*s %4d" % (width, name, armory.landed[name]))
        if armory.landed[name] < options.each:
            figures.fault("point %s was hit %d times instead of %d" % (name, armory.landed[name], options.each))


def play_random(options, kinds, figures):
    for kind in kinds:
        with server(kind):
            one_random_round(options, kind, figures)


def one_random_round(options, kind, figures):
    total, began, wanted = Sum(), time.monotonic(), max(options.cases, options.kills // 2)
    for world in range(WORLDS_MAX):
        cases = min(CASES_A_WORLD, max(40, wanted - total.cases))
        left = max(options.kills - total.landed["random"], 1)
        worlds_left = max(1, (wanted - total.cases) / cases)
        armory = AtRandom(options.seed + world, SIGNS_A_CASE * cases * worlds_left / left)
        title = "random, %s, world %d" % (kind, options.seed + world)
        played = play(options, kind, cases, options.seed + 1000 + world, armory, title)
        total.landed += armory.landed
        figures.judge(title, played.evidence, played.checks)
        total.add(played)
        told(title, played, armory)
        if total.landed["random"] >= options.kills and total.cases >= wanted:
            break
    total.show("Kills at random moments, %s" % kind, time.monotonic() - began)


def told(title, played, armory):
    """One line a world, so that whoever waits sees it move."""
    print("  %s: %d cases, %d kills so far%s, %d requests, %d s" % (
        title, len(played.evidence.cases), sum(armory.landed.values()), armory.missing(), played.requests, played.secs),
        file=sys.stderr, flush=True)
