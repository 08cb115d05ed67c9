//! What the control plane asks, answered from the state, the log and the scheduler. One file per kind of question.

mod accept;
mod attempts;
mod cancel;
mod deliveries;
mod events;
mod metrics;
mod observer;
mod once;
mod poll;
mod quarantine;
mod reload;
mod replay;
mod replay_ids;
mod replays;
mod sight;
mod stats;
mod status;
mod subscriptions;
mod webhooks;
mod why;

use std::sync::Arc;

pub(super) use deliveries::subscription_of;
pub(super) use observer::{observer, sum_up};
pub(super) use reload::reload;
pub(super) use replay::{again, delivered, new_delivery, replay_key};
pub(super) use stats::look;
pub(super) use webhooks::end_overlaps;

use super::desk::Desk;
use super::running::Shared;
use super::{audit, backup};
use crate::admin::api::{
    Accepted, BackupPlan, Books, CancelAnswer, DeliveryDetail, DeliveryPage, EventDetail, EventPage, MatchReport, Page,
    QuarantineAnswer, QuarantineDetail, QuarantineEntry, Readiness, ReloadReport, ReplayRequest, ReplayRow, Stats,
    Status, Webhook,
};
use crate::admin::api::{AttemptView, BodyOf, ReplayJob, ReplayOrder};
use crate::admin::{
    AcceptRequest, Caller, Control, ControlError, DeliveryFilter, PageRequest, PollRequest, ReplayOutcome,
    StatsRequest, SubKey,
};

/// The engine as the control plane sees it. Behind it the engine may be taken down and built anew.
pub(super) struct Panel {
    desk: Arc<Desk>,
}

impl Panel {
    pub fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    fn engine(&self) -> Result<Arc<Shared>, ControlError> {
        self.desk.engine_soon().map_err(|standstill| unavailable(standstill.reason))
    }
}

/// A line that is no event has no tenant.
const QUARANTINE: &str = "the quarantine";

fn internal(error: impl std::fmt::Display) -> ControlError {
    ControlError::Internal(error.to_string())
}

fn unavailable(reason: impl Into<String>) -> ControlError {
    ControlError::Unavailable(reason.into())
}

impl Control for Panel {
    fn status(&self, caller: &Caller) -> Result<Status, ControlError> {
        match self.desk.engine() {
            Ok(shared) => status::status(&shared, caller),
            Err(standstill) => Ok(status::at_a_standstill(standstill, caller)),
        }
    }

    fn readiness(&self) -> Readiness {
        match self.desk.engine() {
            Ok(shared) => status::readiness(&shared),
            Err(standstill) => status::not_ready(standstill),
        }
    }

    fn subscriptions(&self, caller: &Caller) -> Result<Vec<Webhook>, ControlError> {
        subscriptions::all(&*self.engine()?, caller)
    }

    fn subscription(&self, caller: &Caller, key: &SubKey) -> Result<Webhook, ControlError> {
        subscriptions::one(&*self.engine()?, caller, key)
    }

    fn pause(&self, caller: &Caller, key: &SubKey) -> Result<Webhook, ControlError> {
        subscriptions::pause(&*self.engine()?, caller, key)
    }

    fn resume(&self, caller: &Caller, key: &SubKey) -> Result<Webhook, ControlError> {
        subscriptions::resume(&*self.engine()?, caller, key)
    }

    fn deliveries(&self, caller: &Caller, filter: &DeliveryFilter) -> Result<DeliveryPage, ControlError> {
        deliveries::list(&*self.engine()?, caller, filter)
    }

    fn delivery(&self, caller: &Caller, id: &str) -> Result<DeliveryDetail, ControlError> {
        deliveries::show(&*self.engine()?, caller, id)
    }

    fn replay(&self, caller: &Caller, request: &ReplayRequest) -> Result<Vec<ReplayRow>, ControlError> {
        let shared = self.engine()?;
        Ok(request.ids.iter().map(|id| replay::one(&shared, caller, id, request.consent)).collect())
    }

    fn poll(&self, caller: &Caller, request: &PollRequest) -> Result<EventPage, ControlError> {
        poll::poll(&*self.engine()?, caller, request)
    }

    fn accept(&self, caller: &Caller, request: &AcceptRequest) -> Result<Accepted, ControlError> {
        let shared = self.engine()?;
        let receipts = self.desk.receipts().ok_or_else(|| unavailable("the engine starts"))?;
        accept::accept(&shared, &receipts, caller, request)
    }

    fn event(&self, caller: &Caller, id: &str) -> Result<EventDetail, ControlError> {
        events::show(&*self.engine()?, caller, id)
    }

    fn match_event(&self, caller: &Caller, line: &[u8]) -> Result<MatchReport, ControlError> {
        events::judge(&*self.engine()?, caller, line)
    }

    fn quarantine(&self, caller: &Caller, page: &PageRequest) -> Result<Page<QuarantineEntry>, ControlError> {
        caller.needs_all_tenants(QUARANTINE)?;
        quarantine::list(&*self.engine()?, page)
    }

    fn quarantined(&self, caller: &Caller, id: &str) -> Result<QuarantineDetail, ControlError> {
        caller.needs_all_tenants(QUARANTINE)?;
        quarantine::show(&*self.engine()?, id)
    }

    fn quarantine_retry(&self, caller: &Caller, id: &str) -> Result<QuarantineAnswer, ControlError> {
        caller.needs_all_tenants(QUARANTINE)?;
        quarantine::retry(&*self.engine()?, id)
    }

    fn quarantine_drop(&self, caller: &Caller, id: &str) -> Result<QuarantineAnswer, ControlError> {
        caller.needs_all_tenants(QUARANTINE)?;
        quarantine::discard(&*self.engine()?, id)
    }

    fn start_replay(&self, caller: &Caller, order: &ReplayOrder) -> Result<ReplayOutcome, ControlError> {
        replays::start(&*self.engine()?, caller, order)
    }

    fn replay_jobs(&self, caller: &Caller, page: &PageRequest) -> Result<Page<ReplayJob>, ControlError> {
        replays::list(&*self.engine()?, caller, page)
    }

    fn replay_job(&self, caller: &Caller, id: &str) -> Result<ReplayJob, ControlError> {
        replays::show(&*self.engine()?, caller, id)
    }

    fn cancel_replay(&self, caller: &Caller, id: &str) -> Result<ReplayJob, ControlError> {
        replays::cancel(&*self.engine()?, caller, id)
    }

    fn attempt(&self, caller: &Caller, id: &str, number: u32) -> Result<AttemptView, ControlError> {
        attempts::show(&*self.engine()?, caller, id, number)
    }

    fn attempt_body(&self, caller: &Caller, id: &str, number: u32, of: BodyOf) -> Result<Vec<u8>, ControlError> {
        attempts::body(&*self.engine()?, caller, id, number, of)
    }

    fn cancel_delivery(&self, caller: &Caller, id: &str) -> Result<CancelAnswer, ControlError> {
        cancel::cancel(&*self.engine()?, caller, id)
    }

    fn audit(&self, caller: &Caller) -> Result<Books, ControlError> {
        let books = audit::online(&*self.engine()?).map_err(internal)?;
        Ok(sight::books(books, caller))
    }

    fn reload(&self, caller: &Caller) -> Result<ReloadReport, ControlError> {
        caller.needs_all_tenants("the configuration")?;
        Ok(reload(&*self.engine()?))
    }

    fn stats(&self, caller: &Caller, request: &StatsRequest) -> Result<Stats, ControlError> {
        stats::stats(&*self.engine()?, caller, request)
    }

    fn backup(&self, caller: &Caller) -> Result<BackupPlan, ControlError> {
        if caller.tenant.is_some() {
            return Err(ControlError::NotFound("there is no route /v1/backup".to_owned()));
        }
        backup::online(&*self.engine()?).map_err(internal)
    }

    fn metrics(&self, caller: &Caller) -> Result<String, ControlError> {
        match self.desk.engine() {
            Ok(shared) => metrics::render(&shared, caller),
            Err(standstill) => Ok(metrics::at_a_standstill(&standstill)),
        }
    }
}
