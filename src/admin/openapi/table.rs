//! What each route takes and answers. The order is the order of the table of routes.

use serde_json::{Value, json};

use super::doc::{Body, Doc};
use crate::model::{DeliveryStatus, Outcome};

const SUB: &str = "Number, name, or tenant/name with the slash escaped";
const DELIVERY: &str = "An id, or a prefix of at least six characters that fits one";

/// Names of a list, separated by commas.
fn names<const N: usize>(names: [&str; N]) -> Value {
    json!({"type": "string", "pattern": format!("^({0})(,({0}))*$", names.join("|"))})
}

pub(super) fn table() -> Vec<Doc> {
    use Body::{Event, Json, Stream, Text};
    let ambiguous = "It fits more than one";
    vec![
        Doc::get("/v1/webhooks", "List the subscriptions").answers(200, "All of them", Json("WebhookList")),
        Doc::get("/v1/webhooks/{id}", "Show a subscription")
            .at("id", SUB)
            .answers(200, "It", Json("WebhookAnswer"))
            .problem(409, ambiguous),
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
            .text("type", "A type pattern: `*` is one segment, `**` any number")
            .text("tenant", "Of the subscription")
            .text("event_id", "Of one event")
            .instant("since", "Created at or after")
            .instant("until", "Created before")
            .paged()
            .answers(200, "A page of them", Json("DeliveryPage"))
            .problem(404, "There is no such subscription")
            .problem(409, ambiguous)
            .problem(422, "The pattern or the cursor cannot be used"),
        Doc::get("/v1/deliveries/{id}", "Show a delivery with everything that was tried")
            .at("id", DELIVERY)
            .answers(200, "It", Json("DeliveryDetail"))
            .problem(409, ambiguous),
        Doc::post("/v1/deliveries/{id}/replay", "Send a delivery again")
            .at("id", DELIVERY)
            .may_take(Json("Consent"))
            .answers(202, "It will be sent", Json("Replays"))
            .problem(409, "It is on its way, its subscription is off, or it needs consent")
            .problem(422, "The id is too short"),
        Doc::post("/v1/replays", "Send deliveries again; each row of the answer says whether it was accepted")
            .takes(Json("ReplayRequest"))
            .answers(202, "One row per id", Json("Replays"))
            .problem(422, "An id is too short"),
        Doc::get("/v1/events", "Read events in log order, oldest first")
            .paged()
            .text("after", "The same as `cursor`")
            .answers(200, "A page of them", Json("EventPage"))
            .problem(410, "The cursor is older than the oldest event kept")
            .problem(422, "The cursor cannot be used"),
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
            .paged()
            .text("after", "The same as `cursor`")
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
        Doc::get("/readyz", "Whether events are taken and sent").answers(200, "They are", Json("Readiness")).answers(
            503,
            "They are not; `checks` says why",
            Json("Readiness"),
        ),
    ]
}

/// One of these names.
fn names_of<const N: usize>(names: [&str; N]) -> Value {
    json!({"type": "string", "enum": names.as_slice()})
}
