"""GitHub's receiver, from its description in "Validating webhook deliveries": HMAC-SHA256 of the body, in hex, after
`sha256=` in X-Hub-Signature-256.
"""

import base64
import hashlib
import hmac
import json
import sys


def accepts(body, secret, header):
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, header)


# The values that GitHub publishes to test an implementation with.
PUBLISHED = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
assert accepts(b"Hello, World!", "It's a Secret to Everybody", PUBLISHED)

asked = json.load(sys.stdin)
signature = asked["headers"]["x-hub-signature-256"]
json.dump({"accepted": accepts(base64.b64decode(asked["body"]), asked["secret"], signature)}, sys.stdout)
