"""Writes events of one kind until the file system fails: producers.py KIND BASE NOTES TAG.

NOTES lies on another file system. It gets "? NAME" before an event is written and "! NAME" once its producer has been told
that it is durable.
"""

import itertools
import os
import sys
import time

kind, base, notes, tag = sys.argv[1:]
notes = open(notes, "a", buffering=1)
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def event(n):
    name = f"{kind}-{tag}-{n}"
    notes.write(f"? {name}\n")
    return name, f'{{"type":"crash.tested","data":{{"event":"{name}","fill":"{"x" * (n * 37 % 400)}"}}}}\n'


def sync_dir(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def append(fd, text, is_synced=True):
    data = ("\n" + text).encode()
    assert os.write(fd, data) == len(data)
    if is_synced:
        os.fsync(fd)


def synced():
    """Keeps a file open for some lines, each of them synced."""
    for n in itertools.count():
        if n % 15 == 0:
            fd = os.open(f"{base}/spool/in/synced-{tag}-{n}.ndjson", APPEND, 0o660)
            sync_dir(f"{base}/spool/in")
        name, text = event(n)
        append(fd, text)
        yield [name]
        if n % 15 == 14:
            os.close(fd)


def careless():
    """Opens the file for each line and syncs nothing."""
    for n in itertools.count():
        name, text = event(n)
        fd = os.open(f"{base}/spool/in/careless.ndjson", APPEND, 0o660)
        append(fd, text, is_synced=False)
        os.close(fd)
        yield []


def dropped():
    """Renames a finished file into the spool and syncs both."""
    for n in itertools.count(step=4):
        events = [event(n + i) for i in range(4)]
        draft = f"{base}/spool/tmp/dropped-{tag}-{n}.ndjson"
        fd = os.open(draft, APPEND, 0o660)
        os.write(fd, "".join(text for _, text in events).encode())
        os.fsync(fd)
        os.close(fd)
        os.rename(draft, f"{base}/spool/in/dropped-{tag}-{n}.ndjson")
        sync_dir(f"{base}/spool/in")
        yield [name for name, _ in events]


def log():
    """A log of its own, rotated by rename."""
    path = f"{base}/log/app.ndjson"
    for n in itertools.count():
        if n % 50 == 25:
            os.rename(path, f"{base}/log/app-{tag}-{n}.ndjson")
        fd = os.open(path, APPEND, 0o660)
        name, text = event(n)
        append(fd, text)
        os.close(fd)
        sync_dir(f"{base}/log")
        yield [name]


while not os.path.isdir(f"{base}/spool/tmp"):
    time.sleep(0.005)
try:
    for names in {"synced": synced, "careless": careless, "dropped": dropped, "log": log}[kind]():
        for name in names:
            notes.write(f"! {name}\n")
        time.sleep(0.002)
except OSError:
    pass
