"""Runs umbra_verifier.py, the text of Umbra's documentation, as it is: it finds `request` and `webhook_secret`.

Asks and answers like every script here: see peers/judge.rs.
"""

import base64
import json
import sys
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

asked = json.load(sys.stdin)
# Names of headers in any case, as every web framework offers them.
headers = Message()
for name, value in asked["headers"].items():
    headers[name] = value
request = SimpleNamespace(body=base64.b64decode(asked["body"]), headers=headers)
verifier = Path(__file__).with_name("umbra_verifier.py").read_text()
try:
    exec(verifier, {"request": request, "webhook_secret": asked["secret"]})
    json.dump({"accepted": True}, sys.stdout)
except AssertionError:
    json.dump({"accepted": False, "why": "AssertionError"}, sys.stdout)
