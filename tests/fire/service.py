"""The binary as a process that may die at any moment: started again at once, and whatever call met its death is made again."""

import http.client
import os
import re
import select
import signal
import subprocess
import time

from driver import START, Recoup, rfc3339

READY_SECS_MAX = 60
ALIVE_BUT_MUTE_MAX = 20


class Service(Recoup):
    """One process after another on one database. `armory` says what each of them will die of."""

    def __init__(self, binary, database, api_base, smtp_port, armory):
        self.armory, self.deaths, self.troubles = armory, [], []
        self.ready_secs, self.caught_up_secs, self.settled, self.acked, self.restless = [], [], 0, {}, True
        super().__init__(binary, database, api_base, smtp_port)

    # -- life and death ----------------------------------------------------------------------------------------------

    def start(self, now):
        """`now` counts at the very first start only: later ones find where the clock stood."""
        began = time.monotonic()
        while not self.spawn():
            self.bury()
        if self.deaths:
            self.ready_secs.append(time.monotonic() - began)

    def spawn(self):
        """Whether it came as far as listening."""
        self.born = os.fstat(self.log.fileno()).st_size
        armed = self.armory.arm() if self.restless else ""
        env = {**self.env, "RECOUP__CLOCK__START": rfc3339(START), "RECOUP_FAILPOINT": armed}
        self.process = subprocess.Popen([self.binary, "serve"], cwd=os.path.join(self.folder, "empty"), stdout=subprocess.PIPE,
                                        env=env, stderr=self.log)
        if self.restless:
            self.armory.born(self.process)
        ready, _, _ = select.select([self.process.stdout], [], [], READY_SECS_MAX)
        line = self.process.stdout.readline().decode() if ready else ""
        if line.startswith("listening on http://"):
            self.host = line.strip()[len("listening on http://"):]
            return True
        if not ready:
            self.process.kill()
            raise SystemExit("not listening after %d s; stderr ends:\n%s" % (READY_SECS_MAX, self.tail()))
        return False

    def bury(self):
        """Notes what the process died of: a failpoint tells its name before it kills."""
        code = self.process.wait()
        self.process.stdout.close()
        with open(self.log.name, "rb") as log:
            log.seek(self.born)
            words = log.read()
        told = re.search(rb"^failpoint (\w+)$", words, re.MULTILINE)
        if code != -signal.SIGKILL:
            raise SystemExit("the process ended by itself with %s; stderr ends:\n%s" % (code, self.tail()))
        if b"panicked at" in words:
            self.troubles.append("a panic: %s" % words[words.index(b"panicked at"):][:300].decode(errors="replace"))
        point = told.group(1).decode() if told else "random"
        self.deaths.append((point, time.monotonic()))
        self.armory.died(point)

    def revive(self, trouble):
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.troubles.append("alive, but a call broke: %r" % trouble)
            if len(self.troubles) > ALIVE_BUT_MUTE_MAX:
                raise SystemExit("\n".join(self.troubles)) from trouble
            return
        self.bury()
        self.start(START)

    def rest(self):
        """From here on nobody kills: a last death, and a process that is not armed."""
        self.restless = False
        self.armory.died("rest")
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.start(START)

    # -- calls -------------------------------------------------------------------------------------------------------

    def call(self, method, path, body=None, headers=None, secs_max=60):
        while True:
            try:
                return super().call(method, path, body, headers, secs_max)
            except TimeoutError as trouble:
                raise SystemExit("%s %s was not answered in %d s; stderr ends:\n%s" % (method, path, secs_max, self.tail())) from trouble
            except (OSError, http.client.HTTPException) as trouble:
                self.revive(trouble)

    def webhook(self, raw, signature, connection="stripe"):
        status, body = super().webhook(raw, signature, connection)
        if status == 200:
            self.acked[re.search(rb'"id": "(evt_\w+)"', raw).group(1).decode()] = body
        return status, body

    def advance(self, t):
        answer = super().advance(t)
        if len(self.deaths) > self.settled:
            # Of several deaths in a row only the last was followed by a recovery.
            self.caught_up_secs.append(time.monotonic() - self.deaths[-1][1])
            self.settled = len(self.deaths)
        return answer

    def stop(self):
        """SIGTERM; None for a process that is gone already."""
        if self.process.poll() is not None:
            return None
        return super().stop()
