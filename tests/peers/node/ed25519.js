// Standard Webhooks' asymmetric signatures (v1a), checked by Node's own cryptography: the package does not know them.
const crypto = require("node:crypto");

const asked = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const raw = Buffer.from(asked.secret.replace(/^whpk_/, ""), "base64");
const key = crypto.createPublicKey({
  format: "jwk",
  key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") },
});
const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures } = asked.headers;
const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), Buffer.from(asked.body, "base64")]);
const accepted = signatures
  .split(" ")
  .map((one) => one.split(","))
  .some(([version, text]) => version === "v1a" && crypto.verify(null, signed, key, Buffer.from(text, "base64")));
console.log(JSON.stringify({ accepted }));
