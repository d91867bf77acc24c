"""The job, and one JSON line on stdout for each thing that happens to a client."""

import json
import sys


def report(kind, **fields):
    print(json.dumps({"type": kind, **fields}), flush=True)


class Job:
    """What the suite asks for: see `Job` in ../client-program.ts."""

    def __init__(self, argument):
        fields = json.loads(argument)
        self.client = fields["client"]
        self.base = fields["base"]
        self.key = fields["key"]
        self.cursor = fields["cursor"]
        self.body = fields["body"]
        self.after_first = fields["afterFirst"]

    @property
    def url(self):
        return self.base + "/v1/chat"


class Left(Exception):
    """The client has closed its connection, since it was told to leave."""


class Text:
    """What a client has received, told as it comes."""

    def __init__(self, job, cancel=None):
        self.have = ""
        self.finish_reason = None
        self._after_first = job.after_first
        self._cancel = cancel

    def add(self, text):
        if not text:
            return
        self.have += text
        report("text", text=text)
        after_first, self._after_first = self._after_first, "stay"
        if after_first == "leave":
            raise Left()
        if after_first == "cancel":
            self._cancel()

    def restart_with(self, text):
        """The same answer again, from its beginning on: only what is new of it counts."""
        self.add(text[len(self.have) :])

    def event(self, name, data):
        """An event of the native protocol."""
        if not data:
            report("empty")
        elif name == "delta":
            self.add(json.loads(data).get("content"))
        elif name == "done":
            self.finish_reason = json.loads(data)["finish_reason"]


def run(clients):
    job = Job(sys.argv[1])
    try:
        report("end", reason=clients[job.client](job))
    except Left:
        report("end", reason="left")
