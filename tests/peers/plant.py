"""A receiver of the dialect that recipes.rs describes, written from that table: HMAC-SHA256 in base64 of the delivery's
id, a bar, the time, a bar and the body.
"""

import base64
import hashlib
import hmac
import json
import sys

asked = json.load(sys.stdin)
headers = asked["headers"]
signed = f"{headers['x-plant-delivery']}|{headers['x-plant-time']}|".encode() + base64.b64decode(asked["body"])
key = base64.b64decode(asked["secret"].removeprefix("whsec_"))
expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
json.dump({"accepted": f"sig {expected}" in headers["x-plant-signature"].split("; ")}, sys.stdout)
