//! What each route takes and answers. The order is the order of the table of routes.

use serde_json::{Value, json};

use super::doc::{Body, Doc};
use crate::model::{DeliveryStatus, Outcome};

const SUB: &str = "Number, name, or tenant/name with the slash escaped";

const JOB: &str = "As the list has it: rpl_...";
const INVALID: &str = "Something in it cannot be as it is, listed in `errors` with a pointer each";

/// Names of a list, separated by commas.
fn names<const N: usize>(names: [&str; N]) -> Value {
    json!({"type": "string", "pattern": format!("^({0})(,({0}))*$", names.join("|"))})
}

pub(super) fn table() -> Vec<Doc> {
    use Body::{Bytes, Event, Json, Stream, Text};
    let ambiguous = "It fits more than one";
    vec![
        Doc::get("/v1/webhooks", "List the subscriptions").answers(200, "All of them", Json("WebhookList")),
        Doc::get("/v1/webhooks/{id}", "Show a subscription")
            .at("id", SUB)
            .answers(200, "It", Json("WebhookAnswer"))
            .problem(409, ambiguous),
        Doc::post("/v1/webhooks", "Make a webhook")
            .dry()
            .key("The same key with the same body within 24 hours gets the same answer")
            .takes(Json("NewWebhook"))
            .answers(200, "What it would be: a dry run", Json("WebhookChanged"))
            .answers(201, "It is there", Json("WebhookCreated"))
            .problem(404, "There is no such tenant")
            .problem(409, "Its name is taken, the tenant may have no more, or the key is in use")
            .problem(422, INVALID),
        Doc::put("/v1/webhooks/{id}", "Change what is given of a webhook")
            .at("id", SUB)
            .dry()
            .if_match()
            .takes(Json("WebhookRequest"))
            .answers(200, "It is changed", Json("WebhookChanged"))
            .problem(409, "It is defined in a file, or its name fits more than one")
            .problem(422, INVALID),
        Doc::delete("/v1/webhooks/{id}", "Delete a webhook")
            .at("id", SUB)
            .if_match()
            .answers(200, "It is gone", Json("WebhookChanged"))
            .problem(409, "It is defined in a file, or its name fits more than one"),
        Doc::post("/v1/webhooks/{id}/test", "Send one request that stands in no book, and tell what came of it")
            .at("id", SUB)
            .may_take(Json("TestRequest"))
            .answers(202, "What came of it", Json("WebhookTested"))
            .problem(409, ambiguous)
            .problem(422, "The event is none"),
        Doc::post("/v1/webhooks/{id}/secret/rotate", "Give a webhook a new secret; the old one signs too for a while")
            .at("id", SUB)
            .may_take(Json("RotateRequest"))
            .answers(200, "The new secret, this once", Json("WebhookRotated"))
            .problem(409, "It is defined in a file, or it does not sign")
            .problem(422, INVALID),
        Doc::post("/v1/webhooks/{id}/pause", "Stop sending to a subscription; its events queue")
            .at("id", SUB)
            .answers(200, "It is paused", Json("WebhookAnswer"))
            .problem(409, ambiguous),
        Doc::post("/v1/webhooks/{id}/resume", "Send to a subscription again")
            .at("id", SUB)
            .answers(200, "It is resumed", Json("WebhookAnswer"))
            .problem(409, ambiguous),
        Doc::get("/v1/deliveries", "List deliveries, newest first")
            .ask(
                "status",
                "One or several, separated by commas",
                names(DeliveryStatus::ALL.map(DeliveryStatus::as_str)),
            )
            .ask("outcome", "Of the last attempt, one or several", names(Outcome::ALL.map(Outcome::as_str)))
            .text("subscription", SUB)
            .pattern("type")
            .text("tenant", "Of the subscription")
            .text("event_id", "Of one event")
            .ask(
                "status_code",
                "Of the last answer: 503, or 5xx",
                json!({"type": "string", "pattern": "^([1-9][0-9][0-9]|[1-9]xx)$"}),
            )
            .ask("trigger", "Of the last attempt", names_of(["first", "retry", "manual"]))
            .instant("since", "Created at or after")
            .instant("until", "Created before")
            .paged("r[0-9]{1,18}")
            .answers(200, "A page of them", Json("DeliveryPage"))
            .problem(404, "There is no such subscription")
            .problem(409, ambiguous)
            .problem(422, "The pattern or the cursor cannot be used"),
        Doc::get("/v1/deliveries/{id}", "Show a delivery with everything that was tried")
            .delivery()
            .answers(200, "It", Json("DeliveryDetail"))
            .problem(409, ambiguous),
        Doc::post("/v1/deliveries/{id}/replay", "Send a delivery again")
            .delivery()
            .may_take(Json("Consent"))
            .answers(202, "It will be sent", Json("Replays"))
            .problem(409, "It is on its way, its subscription is off, or it needs consent")
            .problem(422, "The id is too short"),
        Doc::get("/v1/deliveries/{id}/attempts/{n}", "Show one attempt with its request")
            .attempt()
            .answers(200, "It", Json("AttemptView"))
            .problem(409, ambiguous),
        Doc::get("/v1/deliveries/{id}/attempts/{n}/request.body", "The exact bytes of a request's body")
            .attempt()
            .answers(200, "The bytes, rendered again", Bytes)
            .problem(409, ambiguous),
        Doc::get(
            "/v1/deliveries/{id}/attempts/{n}/response.body",
            "The bytes of an answer's body, as far as they are kept",
        )
        .attempt()
        .answers(200, "The bytes", Bytes)
        .problem(409, ambiguous),
        Doc::post("/v1/deliveries/{id}/cancel", "End a delivery that waits")
            .delivery()
            .answers(200, "It is cancelled", Json("CancelAnswer"))
            .problem(409, "It has ended, is on its way, or fits more than one"),
        Doc::post("/v1/replays", "Send many deliveries again, by ids or by a filter")
            .takes(Json("ReplayOrder"))
            .answers(200, "What it would be: a dry run", Json("ReplayPreview"))
            .answers(202, "The job, and a row for each id", Json("ReplayAnswer"))
            .problem(404, "There is no such subscription")
            .problem(409, "Another number matches, consent is needed, or too many jobs run")
            .problem(422, "Something in it cannot be used, or lies outside the preset's bounds"),
        Doc::get("/v1/replays", "List replays, newest first")
            .paged("rpl_[0-9a-f]{20}")
            .answers(200, "A page of them", Json("ReplayJobPage"))
            .problem(422, "The cursor cannot be used"),
        Doc::get("/v1/replays/{id}", "Show how far a replay is").at("id", JOB).answers(200, "It", Json("ReplayJob")),
        Doc::delete("/v1/replays/{id}", "Send nothing more of a replay")
            .at("id", JOB)
            .answers(200, "It, cancelled", Json("ReplayJob"))
            .problem(409, "Nothing was left to send"),
        Doc::get("/v1/events", "Poll events in log order, without gaps")
            .text("after", "`next_cursor` of the page before; `latest` for now; nothing for the oldest event kept")
            .text("cursor", "The same as `after`")
            .ask("limit", "Events on a page", json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}))
            .ask(
                "wait",
                "How long to wait for an event when there is none: 20s, at most 30s",
                json!({"type": "string", "pattern": "^(([0-9]|[12][0-9]|30)s|[0-9]{1,4}ms)$"}),
            )
            .text("subscription", SUB)
            .ask("only", "What that subscription did not get", json!({"type": "string", "enum": ["undelivered"]}))
            .pattern("type")
            .text("tenant", "Of one tenant")
            .answers(200, "A page, perhaps an empty one; its cursor goes on", Json("EventPage"))
            .problem(404, "There is no such subscription")
            .problem(409, ambiguous)
            .problem(410, "Events behind the cursor are no longer kept: `oldest_cursor`, `lost_before`, `lost`")
            .problem(422, "The pattern cannot be used"),
        Doc::post("/v1/events", "Write one event, or several as lines, into the spool")
            .key("The same key with the same body within 24 hours writes nothing a second time")
            .takes(Body::Events)
            .answers(202, "They are durable", Json("Accepted"))
            .problem(409, "A request with this key is under way")
            .problem(422, "A line is no event, listed in `errors`; nothing was written")
            .problem(429, "Producers are asked to wait")
            .problem(507, "The disk is full"),
        Doc::post("/v1/events/match", "Judge an event without taking it in")
            .takes(Event)
            .answers(200, "Who would take it, and why", Json("MatchReport"))
            .problem(422, "It is no event"),
        Doc::get("/v1/events/{id}", "Show an event and why each subscription did or did not take it")
            .at("id", "The event's id")
            .answers(200, "It", Json("EventDetail"))
            .problem(409, ambiguous),
        Doc::get("/v1/stream", "Follow attempts as server-sent events")
            .text("subscription", "Only this one: NAME or TENANT/NAME")
            .ask("failed", "Only attempts that did not deliver", json!({"type": "boolean", "default": false}))
            .answers(200, "`event: attempt` with AttemptLine as data, `event: gap` with Gap", Stream),
        Doc::get("/v1/quarantine", "List lines that are no events, newest first")
            .paged("[0-9]{1,18}")
            .answers(200, "A page of them", Json("QuarantinePage"))
            .problem(422, "The cursor cannot be used"),
        Doc::get("/v1/quarantine/{id}", "Show such a line")
            .at("id", "SEGMENT-OFFSET, as the list has it")
            .answers(200, "It", Json("QuarantineDetail"))
            .problem(422, "The id cannot be used"),
        Doc::delete("/v1/quarantine/{id}", "Let such a line go")
            .at("id", "SEGMENT-OFFSET, as the list has it")
            .answers(200, "It is dropped", Json("QuarantineAnswer"))
            .problem(409, "It was retried or dropped before")
            .problem(422, "The id cannot be used"),
        Doc::post("/v1/quarantine/{id}/retry", "Read such a line again")
            .at("id", "SEGMENT-OFFSET, as the list has it")
            .answers(200, "It became an event", Json("QuarantineAnswer"))
            .problem(409, "It was retried or dropped before")
            .problem(422, "It is still no event"),
        Doc::get("/v1/audit", "Recompute the books").answers(200, "The books, with what differs", Json("Books")),
        Doc::get("/v1/status", "One screen about the engine").answers(200, "How it is doing", Json("Status")),
        Doc::get("/v1/version", "What runs").answers(200, "Names and numbers", Json("Version")),
        Doc::post("/v1/config/reload", "Load the configuration again")
            .answers(200, "It is in force", Json("ReloadReport"))
            .problem(422, "It has errors, listed in `errors`; the old one stays in force"),
        Doc::get("/v1/tokens", "List tokens")
            .paged("[0-9]{1,18}")
            .answers(200, "A page of them", Json("TokenPage"))
            .problem(422, "The cursor cannot be used"),
        Doc::post("/v1/tokens", "Make a token")
            .takes(Json("NewToken"))
            .answers(201, "The token, this once", Json("TokenAnswer"))
            .problem(409, "Its name is taken")
            .problem(422, "Its name cannot be one"),
        Doc::delete("/v1/tokens/{id}", "Revoke a token")
            .at("id", "Its id, or its name")
            .answers(200, "Nobody comes in with it any more", Json("TokenAnswer"))
            .problem(409, ambiguous),
        Doc::get("/v1/changes", "List what was changed, newest first")
            .paged("c[0-9]{1,18}")
            .answers(200, "A page of them", Json("ChangePage"))
            .problem(422, "The cursor cannot be used"),
        Doc::get("/v1/stats", "Series for charts, oldest first")
            .ask("metric", "Which series", names_of(crate::admin::api::StatsMetric::ALL.map(|metric| metric.as_str())))
            .text("subscription", SUB)
            .instant("since", "From then on; an hour ago if not given")
            .ask(
                "step",
                "Length of a point in seconds: minutes for a day, hours beyond",
                json!({"type": "integer",
                "minimum": 60, "maximum": 7_776_000}),
            )
            .answers(200, "The points in which something happened", Json("Stats"))
            .problem(404, "There is no such subscription")
            .problem(409, ambiguous),
        Doc::post("/v1/backup", "List what a backup consists of, as of now; the copying is the caller's")
            .answers(200, "Files, and how many bytes of each", Json("BackupPlan"))
            .problem(404, "Not for a token of one tenant"),
        Doc::get("/v1/openapi.json", "This document").answers(200, "OpenAPI 3.1", Json("Document")),
        Doc::get("/metrics", "What Prometheus reads").answers(200, "Text format 0.0.4", Text),
        Doc::get("/livez", "Whether the control plane turns").answers(200, "It does", Text),
        Doc::get("/readyz", "Whether events are taken and sent")
            .text("verbose", "Also the checks that hold; needs a token")
            .answers(200, "They are", Json("Readiness"))
            .answers(503, "They are not; `checks` says why", Json("Readiness")),
    ]
}

/// One of these names.
fn names_of<const N: usize>(names: [&str; N]) -> Value {
    json!({"type": "string", "enum": names.as_slice()})
}
