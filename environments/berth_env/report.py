"""What the builder says: one JSON object a line on standard output.

{"event":"progress","phase":"fetch","line":"…","done":3,"total":9,"bytes":1,"bytes_total":2,"bytes_per_s":3,"left_s":4}
{"event":"log","line":"…"}          {"event":"result", …}          {"event":"error","kind":"invalid","message":"…"}
"""

import json
import sys
import time

LINE_LIMIT = 500  # characters of a log line


class BuildError(Exception):
    """Ends the command with one sentence (or one line a fault) for the user. `kind` is one of the API's."""

    def __init__(self, message, kind="invalid"):
        super().__init__(message)
        self.kind = kind


class Report:
    """Progress at most five times a second, but the first and the last of a phase always."""

    def __init__(self, out=None):
        self._out = out or sys.stdout
        self._phase = None
        self._last = 0.0
        self._began = 0.0

    def emit(self, event, **fields):
        self._out.write(json.dumps({"event": event, **fields}, ensure_ascii=True) + "\n")
        self._out.flush()

    def log(self, line):
        for part in str(line).splitlines():
            self.emit("log", line=part[:LINE_LIMIT])

    def phase(self, phase, line):
        self._phase, self._began, self._last = phase, time.monotonic(), 0.0
        self.progress(line, 0, 0)

    def progress(self, line, done, total, transferred=0, transferred_total=0):
        now = time.monotonic()
        whole = done == total and transferred == transferred_total
        if self._last and now - self._last < 0.2 and not whole:
            return
        self._last = now
        elapsed = now - self._began
        speed = int(transferred / elapsed) if transferred and elapsed > 0 else 0
        left = round((transferred_total - transferred) / speed) if speed else None
        self.emit("progress", phase=self._phase, line=line[:LINE_LIMIT], done=done, total=total, bytes=transferred,
                  bytes_total=transferred_total, bytes_per_s=speed, left_s=left)
