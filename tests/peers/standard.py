"""The package `standardwebhooks` of the Standard Webhooks project, from PyPI."""

import base64
import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

asked = json.load(sys.stdin)
try:
    Webhook(asked["secret"]).verify(base64.b64decode(asked["body"]), asked["headers"])
    json.dump({"accepted": True}, sys.stdout)
except WebhookVerificationError as error:
    json.dump({"accepted": False, "why": str(error)}, sys.stdout)
