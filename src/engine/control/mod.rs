//! What the control plane asks, answered from the state, the log and the scheduler. One file per kind of question.

mod deliveries;
mod events;
mod observer;
mod quarantine;
mod reload;
mod replay;
mod status;
mod subscriptions;

use std::sync::Arc;

pub(super) use observer::observer;
pub(super) use reload::reload;

use super::audit;
use super::running::Shared;
use crate::admin::api::{
    Books, Delivery, DeliveryDetail, EventDetail, EventPage, MatchReport, Page, QuarantineAnswer, QuarantineDetail,
    QuarantineEntry, Readiness, ReloadReport, ReplayRequest, ReplayRow, Status, Webhook,
};
use crate::admin::{Control, ControlError, DeliveryFilter, PageRequest, SubKey};

/// The engine as the control plane sees it.
pub(super) struct Panel {
    shared: Arc<Shared>,
}

impl Panel {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
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
        status::status(&self.shared)
    }

    fn readiness(&self) -> Readiness {
        status::readiness(&self.shared)
    }

    fn subscriptions(&self) -> Result<Vec<Webhook>, ControlError> {
        subscriptions::all(&self.shared)
    }

    fn subscription(&self, key: &SubKey) -> Result<Webhook, ControlError> {
        subscriptions::one(&self.shared, key)
    }

    fn pause(&self, key: &SubKey) -> Result<Webhook, ControlError> {
        subscriptions::pause(&self.shared, key)
    }

    fn resume(&self, key: &SubKey) -> Result<Webhook, ControlError> {
        subscriptions::resume(&self.shared, key)
    }

    fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<Delivery>, ControlError> {
        deliveries::list(&self.shared, filter)
    }

    fn delivery(&self, id: &str) -> Result<DeliveryDetail, ControlError> {
        deliveries::show(&self.shared, id)
    }

    fn replay(&self, request: &ReplayRequest) -> Result<Vec<ReplayRow>, ControlError> {
        Ok(request.ids.iter().map(|id| replay::one(&self.shared, id, request.consent)).collect())
    }

    fn events(&self, page: &PageRequest) -> Result<EventPage, ControlError> {
        events::list(&self.shared, page)
    }

    fn event(&self, id: &str) -> Result<EventDetail, ControlError> {
        events::show(&self.shared, id)
    }

    fn match_event(&self, line: &[u8]) -> Result<MatchReport, ControlError> {
        events::judge(&self.shared, line)
    }

    fn quarantine(&self, page: &PageRequest) -> Result<Page<QuarantineEntry>, ControlError> {
        quarantine::list(&self.shared, page)
    }

    fn quarantined(&self, id: &str) -> Result<QuarantineDetail, ControlError> {
        quarantine::show(&self.shared, id)
    }

    fn quarantine_retry(&self, id: &str) -> Result<QuarantineAnswer, ControlError> {
        quarantine::retry(&self.shared, id)
    }

    fn quarantine_drop(&self, id: &str) -> Result<QuarantineAnswer, ControlError> {
        quarantine::discard(&self.shared, id)
    }

    fn audit(&self) -> Result<Books, ControlError> {
        audit::online(&self.shared).map_err(internal)
    }

    fn reload(&self) -> Result<ReloadReport, ControlError> {
        Ok(reload(&self.shared))
    }
}
