#!/usr/bin/env python3
"""The nightly sweep: hands everything that an endpoint did not get to a handler, once.

    sweep.py --socket state/spoolhook.sock --subscription oms --cursor oms.cursor -- ./import-one
    sweep.py --url http://127.0.0.1:7380 --token-file token --subscription oms --cursor oms.cursor -- ./import-one

The handler runs once per event, with the event as one JSON line on its standard input. One request fetches up to 1,000
missed events. The cursor is stored, durably, when a whole page was handled: a handler that fails (any status but 0) stops
the sweep, and the next one begins with that page again, so a handler must stand being given an event twice.

Status: 0 done, 1 a handler or a request failed, 3 done, but events were lost to retention meanwhile (said on stderr).
Only the standard library is used; Python 3.8 or newer.
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import urllib.parse


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def connection(args):
    if args.socket:
        return UnixConnection(args.socket), ""
    url = urllib.parse.urlsplit(args.url)
    secure = url.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    return kind(url.netloc, timeout=60), url.path.rstrip("/")


def page(args, cursor):
    """One page of missed events: the status, the answer, and its text."""
    query = {"subscription": args.subscription, "only": "undelivered", "limit": args.limit}
    if cursor:
        query["after"] = cursor
    headers = {}
    if args.token_file:
        with open(args.token_file, encoding="utf-8") as file:
            headers["Authorization"] = "Bearer " + file.read().strip()
    link, base = connection(args)
    try:
        link.request("GET", base + "/v1/events?" + urllib.parse.urlencode(query), headers=headers)
        answer = link.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text), text
    finally:
        link.close()


def lines(text):
    """The events of a page as they were written: numbers, escapes and all. `data` is its first member."""
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    while text[at] != "]":
        event, end = decoder.raw_decode(text, at)
        yield event["id"], text[at:end]
        at = end + (text[end] == ",")


def load(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def store(path, cursor):
    """The old cursor or the new one, whole, whatever happens."""
    draft = path + ".new"
    with open(draft, "w", encoding="ascii") as file:
        file.write(cursor + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    place = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def sweep(args):
    cursor, swept, lost = load(args.cursor), 0, False
    while True:
        status, answer, text = page(args, cursor)
        if status == 410:
            print("sweep:", answer["detail"], file=sys.stderr)
            lost, cursor = True, answer["oldest_cursor"]
            store(args.cursor, cursor)
            continue
        if status != 200:
            print(f"sweep: {status}: {answer.get('detail', answer)}", file=sys.stderr)
            return 1
        for event_id, line in lines(text):
            handled = subprocess.run(args.handler, input=(line + "\n").encode(), check=False)
            if handled.returncode != 0:
                print(f"sweep: the handler failed on {event_id}; it gets this page again", file=sys.stderr)
                return 1
            swept += 1
        cursor = answer["next_cursor"]
        store(args.cursor, cursor)
        if not answer["has_more"]:
            break
    print(f"sweep: {swept} missed events handled", file=sys.stderr)
    return 3 if lost else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--socket", help="the engine's unix socket")
    place.add_argument("--url", help="the engine over TCP; needs --token-file")
    parser.add_argument("--token-file", help="holds a token with the scope `read`")
    parser.add_argument("--subscription", required=True, help="NAME or TENANT/NAME")
    parser.add_argument("--cursor", required=True, help="the file that remembers how far the sweep came")
    parser.add_argument("--limit", type=int, default=1000, help="events per request, at most 1000")
    parser.add_argument("handler", nargs="+", help="a command and its arguments, behind --")
    try:
        sys.exit(sweep(parser.parse_args()))
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"sweep: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
