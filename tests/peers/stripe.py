"""Stripe's receiver, from its description in "Verify webhook signatures manually": Stripe-Signature holds `t=` and one
`v1=` per secret; each is HMAC-SHA256 in hex of the time, a dot and the body. The whole text of the secret is the key.
"""

import base64
import hashlib
import hmac
import json
import sys
import time

TOLERANCE_S = 300

asked = json.load(sys.stdin)
elements = [element.split("=", 1) for element in asked["headers"]["stripe-signature"].split(",")]
stamps = [value for prefix, value in elements if prefix == "t"]
assert len(stamps) == 1, elements
signed = stamps[0].encode() + b"." + base64.b64decode(asked["body"])
expected = hmac.new(asked["secret"].encode(), signed, hashlib.sha256).hexdigest()
matches = any(prefix == "v1" and hmac.compare_digest(value, expected) for prefix, value in elements)
fresh = abs(time.time() - int(stamps[0])) <= TOLERANCE_S
json.dump({"accepted": matches and fresh}, sys.stdout)
