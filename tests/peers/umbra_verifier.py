import hmac, hashlib
payload = request.body # raw bytes
signature = request.headers["X-Webhook-Signature"]
expected = hmac.new(
webhook_secret.encode(),
payload,
hashlib.sha256
).hexdigest()
assert hmac.compare_digest(signature, expected)
