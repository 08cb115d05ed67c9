//! An engine for tests: fixed answers, one subscription, one delivery, one event, one quarantined line.

mod replays;
mod samples;

use std::sync::Mutex;

use super::accept::AcceptRequest;
use super::api::*;
pub use replays::replay_job;
pub use samples::{attempt_line, delivery, event_record, webhook};
use samples::{quarantine_entry, rows};

use super::caller::Caller;
use super::control::{Control, ControlError, DeliveryFilter, PageRequest, ReplayOutcome, StatsRequest, SubKey};
use super::poll::{LostEvents, PollRequest};
use crate::model::{DeliveryStatus, Outcome, Timestamp};

/// 2026-03-12T10:00:00Z.
pub const NOON: Timestamp = Timestamp(1_773_309_600_000);

pub const DELIVERY: &str = "0199e3c1-7d2a-8c11-9f2e-1b0d5a3f6c21";

#[derive(Default)]
pub struct FakeEngine {
    /// What was asked, for tests that look at how a request was understood.
    pub asked: Mutex<Vec<String>>,
    /// Whether there is something behind the cursor `e8`.
    pub has_news: std::sync::atomic::AtomicBool,
}

impl FakeEngine {
    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

impl Control for FakeEngine {
    fn status(&self, _: &Caller) -> Result<Status, ControlError> {
        Ok(Status {
            version: "0.1.0".into(),
            pid: 812,
            started_at: Timestamp(NOON.0 - 273_600_000),
            state: "running".into(),
            state_reason: None,
            notices: Vec::new(),
            config: ConfigStatus {
                path: "/etc/spoolhook/config.toml".into(),
                loaded_at: Timestamp(NOON.0 - 2_880_000),
                changed_on_disk: false,
            },
            spool: SpoolStatus {
                behind_bytes: 0,
                last_event_at: Some(Timestamp(NOON.0 - 2_000)),
                events: 1_204_881,
                kept_bytes: 8_804_682_957,
                quarantined: 0,
                problems: Vec::new(),
            },
            deliveries: DeliveryStats {
                pending: 14,
                retrying: 3,
                next_retry_at: Some(Timestamp(NOON.0 + 7_000)),
                delivered: 88_211,
                failed: 2,
                unknown: 0,
                dropped: 0,
                oldest_due_age_s: 0,
            },
            subscriptions: vec![webhook("erp", "active"), webhook("oms", "failing")],
        })
    }

    fn readiness(&self) -> Readiness {
        Readiness {
            ready: false,
            checks: vec![Check { name: "spool".into(), ok: false, reason: Some("it cannot be listed".into()) }],
        }
    }

    fn subscriptions(&self, _: &Caller) -> Result<Vec<Webhook>, ControlError> {
        Ok(vec![webhook("erp", "active"), webhook("oms", "failing")])
    }

    fn subscription(&self, _: &Caller, key: &SubKey) -> Result<Webhook, ControlError> {
        match key {
            SubKey::Id(1) => Ok(webhook("erp", "active")),
            SubKey::Name { name, .. } if name == "erp" => Ok(webhook("erp", "active")),
            _ => Err(ControlError::NotFound("there is no such subscription; spoolhook subs list names them".into())),
        }
    }

    fn pause(&self, caller: &Caller, key: &SubKey) -> Result<Webhook, ControlError> {
        self.note(format!("pause {key:?}"));
        self.subscription(caller, key).map(|hook| Webhook { state: "paused".into(), ..hook })
    }

    fn resume(&self, caller: &Caller, key: &SubKey) -> Result<Webhook, ControlError> {
        self.note(format!("resume {key:?}"));
        self.subscription(caller, key)
    }

    fn deliveries(&self, _: &Caller, filter: &DeliveryFilter) -> Result<DeliveryPage, ControlError> {
        self.note(format!("{filter:?}"));
        Ok(DeliveryPage { data: vec![delivery()], next_cursor: Some("c2".into()), has_more: true, partial: false })
    }

    fn delivery(&self, _: &Caller, id: &str) -> Result<DeliveryDetail, ControlError> {
        if !DELIVERY.starts_with(id) {
            return Err(ControlError::NotFound(format!("no delivery has the id {id}")));
        }
        Ok(DeliveryDetail {
            delivery: delivery(),
            url: "https://erp.example/hooks".into(),
            mode: "at-least-once".into(),
            dialect: "umbra".into(),
            max_attempts: 10,
            segment: "01KKGMZ7G00000000000000000".into(),
            offset: 8812,
            why: "The receiver answered 503. It will be tried again.".into(),
            attempt_log: vec![AttemptDetail {
                number: 1,
                started_at: Timestamp(NOON.0 - 5_000),
                duration_ms: 112,
                trigger: crate::model::AttemptTrigger::First,
                outcome: Outcome::Http5xx,
                status_code: Some(503),
                response_headers: vec![("content-type".into(), "text/html".into())],
                response_body: "upstream \u{1b}[31mconnect error".into(),
                error: Some("503 Service Unavailable".into()),
                request_bytes: 412,
                remote_address: "10.0.0.7:443".into(),
            }],
        })
    }

    fn replay(&self, _: &Caller, request: &ReplayRequest) -> Result<Vec<ReplayRow>, ControlError> {
        self.note(format!("{request:?}"));
        Ok(request
            .ids
            .iter()
            .map(|id| {
                let known = DELIVERY.starts_with(id.as_str());
                ReplayRow {
                    id: id.clone(),
                    accepted: known && request.consent,
                    reason: match (known, request.consent) {
                        (true, true) => None,
                        (true, false) => Some("consent_required".into()),
                        (false, _) => Some("not_found".into()),
                    },
                    message: if known { "will be sent to erp".into() } else { "there is no such delivery".into() },
                    delivery_id: known.then(|| DELIVERY.into()),
                }
            })
            .collect())
    }

    fn start_replay(&self, caller: &Caller, order: &ReplayOrder) -> Result<ReplayOutcome, ControlError> {
        self.note(format!("{} {order:?}", caller.name));
        let rows = self.replay(caller, &ReplayRequest { ids: order.ids.clone(), consent: order.consent })?;
        Ok(replays::started(order, rows))
    }

    fn replay_jobs(&self, _: &Caller, _: &PageRequest) -> Result<Page<ReplayJob>, ControlError> {
        Ok(Page { data: vec![replay_job()], next_cursor: None, has_more: false })
    }

    fn replay_job(&self, _: &Caller, id: &str) -> Result<ReplayJob, ControlError> {
        match id {
            "rpl_1" => Ok(replay_job()),
            _ => Err(ControlError::NotFound(format!("there is no replay {id}"))),
        }
    }

    fn cancel_replay(&self, caller: &Caller, id: &str) -> Result<ReplayJob, ControlError> {
        let job = self.replay_job(caller, id)?;
        Ok(ReplayJob { status: ReplayStatus::Cancelled, ..job })
    }

    fn attempt(&self, caller: &Caller, id: &str, number: u32) -> Result<AttemptView, ControlError> {
        let detail = self.delivery(caller, id)?;
        let attempt = detail.attempt_log.into_iter().find(|attempt| attempt.number == number);
        let attempt = attempt.ok_or_else(|| ControlError::NotFound(format!("there is no attempt {number}")))?;
        Ok(AttemptView { delivery_id: DELIVERY.into(), attempt, request: Some(replays::request(detail.url)) })
    }

    fn attempt_body(&self, caller: &Caller, id: &str, number: u32, _: BodyOf) -> Result<Vec<u8>, ControlError> {
        self.attempt(caller, id, number).map(|_| b"{\xff}".to_vec())
    }

    fn cancel_delivery(&self, _: &Caller, id: &str) -> Result<CancelAnswer, ControlError> {
        match DELIVERY.starts_with(id) {
            true => Ok(CancelAnswer {
                result: "success".into(),
                message: "Delivery cancelled.".into(),
                id: DELIVERY.into(),
            }),
            false => Err(ControlError::NotFound(format!("no delivery has the id {id}"))),
        }
    }

    fn poll(&self, caller: &Caller, request: &PollRequest) -> Result<EventPage, ControlError> {
        self.note(format!("poll {} {request:?}", caller.name));
        if request.after.as_deref() == Some("old") {
            let lost = LostEvents { oldest_cursor: "c9".into(), lost_before: Some(NOON), range: Some((1, 6)) };
            return Err(ControlError::CursorExpired(Box::new(lost)));
        }
        if request.after.as_deref() == Some("e8") && !self.has_news.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Ok(EventPage { data: Vec::new(), next_cursor: "e8".into(), has_more: false });
        }
        Ok(EventPage { data: vec![event_record()], next_cursor: "e8".into(), has_more: false })
    }

    fn accept(&self, caller: &Caller, request: &AcceptRequest) -> Result<Accepted, ControlError> {
        self.note(format!("accept {} {request:?}", caller.name));
        let events = vec![AcceptedEvent { id: "evt_1".into() }];
        Ok(Accepted { result: "success".into(), message: "accepted".into(), accepted: 1, events })
    }

    fn event(&self, _: &Caller, id: &str) -> Result<EventDetail, ControlError> {
        if id != "evt_1" {
            return Err(ControlError::NotFound(format!("no event has the id {id}")));
        }
        let delivery = DeliveryRef { id: DELIVERY.into(), status: DeliveryStatus::Delivered };
        Ok(EventDetail { event: event_record(), subscriptions: rows(Some(delivery)) })
    }

    fn match_event(&self, _: &Caller, line: &[u8]) -> Result<MatchReport, ControlError> {
        match serde_json::from_slice::<serde_json::Value>(line) {
            Ok(_) => Ok(MatchReport { subscriptions: rows(None) }),
            Err(error) => Err(ControlError::Invalid(format!("invalid_json: {error}"))),
        }
    }

    fn quarantine(&self, _: &Caller, _: &PageRequest) -> Result<Page<QuarantineEntry>, ControlError> {
        Ok(Page { data: vec![quarantine_entry()], next_cursor: None, has_more: false })
    }

    fn quarantined(&self, _: &Caller, _: &str) -> Result<QuarantineDetail, ControlError> {
        Ok(QuarantineDetail {
            entry: quarantine_entry(),
            content: "{\"type\" 1}".into(),
            content_base64: "eyJ0eXBlIiAxfQ==".into(),
            truncated: false,
        })
    }

    fn quarantine_retry(&self, _: &Caller, id: &str) -> Result<QuarantineAnswer, ControlError> {
        Err(ControlError::Invalid(format!("{id} is still not an event")))
    }

    fn quarantine_drop(&self, _: &Caller, id: &str) -> Result<QuarantineAnswer, ControlError> {
        let message = "Dropped.".into();
        Ok(QuarantineAnswer { result: "success".into(), message, id: id.into(), event_id: None })
    }

    fn audit(&self, _: &Caller) -> Result<Books, ControlError> {
        Ok(Books {
            spool: SpoolBooks { lines: 12, events: 10, blank: 1, quarantined: 1 },
            subscriptions: vec![SubscriptionBooks {
                tenant: "default".into(),
                subscription: "erp".into(),
                deliveries: DeliveryBooks { matched: 10, delivered: 9, ..DeliveryBooks::default() },
            }],
            tenants: Vec::new(),
            differences: vec!["default/erp: matched 10, accounted for 9".into()],
        })
    }

    fn reload(&self, _: &Caller) -> Result<ReloadReport, ControlError> {
        Ok(ReloadReport {
            applied: false,
            message: "1 error, the old configuration stays in force".into(),
            problems: vec![serde_json::json!({"code": "E001", "line": 7})],
            problems_text: "error[E001]: unknown key `event`\n".into(),
        })
    }

    fn stats(&self, _: &Caller, request: &StatsRequest) -> Result<Stats, ControlError> {
        self.note(format!("{request:?}"));
        let point = StatsPoint { at: NOON, delivered: Some(3), ..StatsPoint::default() };
        Ok(Stats { metric: request.metric, since: NOON, step_s: 60, data: vec![point] })
    }

    fn backup(&self, caller: &Caller) -> Result<BackupPlan, ControlError> {
        self.note(format!("backup for {}", caller.name));
        Ok(BackupPlan { at: NOON, record: 7, waiting_files: 1, files: Vec::new() })
    }

    fn metrics(&self, caller: &Caller) -> Result<String, ControlError> {
        let mut page = crate::metrics::Page::default();
        page.single("spoolhook_start_time_seconds", crate::metrics::Kind::Gauge, "When it started.", 1.0);
        self.note(format!("metrics for {}", caller.name));
        Ok(page.into_text())
    }
}
