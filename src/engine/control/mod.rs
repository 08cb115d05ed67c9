//! What the control plane asks, answered from the state, the log and the scheduler. One file per kind of question.

mod deliveries;
mod events;
mod metrics;
mod observer;
mod quarantine;
mod reload;
mod replay;
mod stats;
mod status;
mod subscriptions;

use std::sync::Arc;

pub(super) use observer::{observer, sum_up};
pub(super) use reload::reload;
pub(super) use stats::look;

use super::desk::Desk;
use super::running::Shared;
use super::{audit, backup};
use crate::admin::api::{
    BackupPlan, Books, Delivery, DeliveryDetail, EventDetail, EventPage, MatchReport, Page, QuarantineAnswer,
    QuarantineDetail, QuarantineEntry, Readiness, ReloadReport, ReplayRequest, ReplayRow, Stats, Status, Webhook,
};
use crate::admin::{Caller, Control, ControlError, DeliveryFilter, PageRequest, StatsRequest, SubKey};

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

fn internal(error: impl std::fmt::Display) -> ControlError {
    ControlError::Internal(error.to_string())
}

fn unavailable(reason: impl Into<String>) -> ControlError {
    ControlError::Unavailable(reason.into())
}

impl Control for Panel {
    fn status(&self) -> Result<Status, ControlError> {
        match self.desk.engine() {
            Ok(shared) => status::status(&shared),
            Err(standstill) => Ok(status::at_a_standstill(standstill)),
        }
    }

    fn readiness(&self) -> Readiness {
        match self.desk.engine() {
            Ok(shared) => status::readiness(&shared),
            Err(standstill) => status::not_ready(standstill),
        }
    }

    fn subscriptions(&self) -> Result<Vec<Webhook>, ControlError> {
        subscriptions::all(&*self.engine()?)
    }

    fn subscription(&self, key: &SubKey) -> Result<Webhook, ControlError> {
        subscriptions::one(&*self.engine()?, key)
    }

    fn pause(&self, key: &SubKey) -> Result<Webhook, ControlError> {
        subscriptions::pause(&*self.engine()?, key)
    }

    fn resume(&self, key: &SubKey) -> Result<Webhook, ControlError> {
        subscriptions::resume(&*self.engine()?, key)
    }

    fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<Delivery>, ControlError> {
        deliveries::list(&*self.engine()?, filter)
    }

    fn delivery(&self, id: &str) -> Result<DeliveryDetail, ControlError> {
        deliveries::show(&*self.engine()?, id)
    }

    fn replay(&self, request: &ReplayRequest) -> Result<Vec<ReplayRow>, ControlError> {
        let shared = self.engine()?;
        Ok(request.ids.iter().map(|id| replay::one(&shared, id, request.consent)).collect())
    }

    fn events(&self, page: &PageRequest) -> Result<EventPage, ControlError> {
        events::list(&*self.engine()?, page)
    }

    fn event(&self, id: &str) -> Result<EventDetail, ControlError> {
        events::show(&*self.engine()?, id)
    }

    fn match_event(&self, line: &[u8]) -> Result<MatchReport, ControlError> {
        events::judge(&*self.engine()?, line)
    }

    fn quarantine(&self, page: &PageRequest) -> Result<Page<QuarantineEntry>, ControlError> {
        quarantine::list(&*self.engine()?, page)
    }

    fn quarantined(&self, id: &str) -> Result<QuarantineDetail, ControlError> {
        quarantine::show(&*self.engine()?, id)
    }

    fn quarantine_retry(&self, id: &str) -> Result<QuarantineAnswer, ControlError> {
        quarantine::retry(&*self.engine()?, id)
    }

    fn quarantine_drop(&self, id: &str) -> Result<QuarantineAnswer, ControlError> {
        quarantine::discard(&*self.engine()?, id)
    }

    fn audit(&self) -> Result<Books, ControlError> {
        audit::online(&*self.engine()?).map_err(internal)
    }

    fn reload(&self) -> Result<ReloadReport, ControlError> {
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
