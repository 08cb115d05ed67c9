"""The package `cloudevents`, the official SDK, from PyPI. Both of its readers must agree: the new one tells the modes
apart by the `ce-` headers, the old one by the content type.
"""

import base64
import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.v1.http import from_http

asked = json.load(sys.stdin)
body = base64.b64decode(asked["body"])
new = from_http_event(HTTPMessage(headers=asked["headers"], body=body))
old = from_http(asked["headers"], body)
attributes = dict(new.get_attributes())
attributes["time"] = attributes["time"].isoformat()
# The old reader does not undo the percent-encoding of headers, so only attributes that never need it can be compared.
for name in ("specversion", "type"):
    assert old[name] == attributes[name], (name, old[name], attributes[name])
assert old.data == new.get_data(), (old.data, new.get_data())
json.dump({"accepted": True, "attributes": attributes, "data": new.get_data()}, sys.stdout)
