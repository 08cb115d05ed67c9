// The package `standardwebhooks` of the Standard Webhooks project, from npm.
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

const asked = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
let answer = { accepted: true };
try {
  new Webhook(asked.secret).verify(Buffer.from(asked.body, "base64"), asked.headers);
} catch (error) {
  if (!(error instanceof WebhookVerificationError)) throw error;
  answer = { accepted: false, why: error.message };
}
console.log(JSON.stringify(answer));
