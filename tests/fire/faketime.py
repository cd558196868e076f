"""A world whose time runs faster than ours, for processes and database alike, by Debian's libfaketime.

Leases last two minutes; in a world that runs faster a run can wait for many of them. All clocks run at one speed, the monotonic one
included, so that a call's timeout and the lease above it keep their proportion.
"""

import glob
import time

from driver import START



def library():
    found = sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None


class Clock:
    """The world's time; without the library it runs as ours does, only from another beginning."""

    def __init__(self, speed):
        self.library, self.began = library(), time.time()
        self.speed = speed if self.library else 1
        self.base = START if self.library else self.began

    def now(self):
        return self.base + (time.time() - self.began) * self.speed

    def env(self, jump=0):
        """For a process that starts now; `jump` sets its clock wrong by so many seconds."""
        if not self.library:
            return {}
        return {"LD_PRELOAD": self.library, "FAKETIME": "%+.3f x%g" % (self.now() + jump - time.time(), self.speed),
                "FAKETIME_DONT_RESET": "1"}

    def real(self, secs):
        """How long so many of the world's seconds take."""
        return secs / self.speed
