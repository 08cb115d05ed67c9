//! Finished attempts, told to whoever listens right now. Nothing is kept: a reader that is too slow loses the oldest
//! lines and is told how many.

use tokio::sync::{broadcast, watch};

use super::api::AttemptLine;
use crate::model::DeliveryStatus;

/// The place attempts are announced at. Clones share it; announcing never blocks.
#[derive(Clone, Debug)]
pub struct LiveHub {
    lines: broadcast::Sender<AttemptLine>,
    /// How often events were taken in, and how often deliveries ended: those who wait for news look when it changes.
    taken: watch::Sender<u64>,
    ended: watch::Sender<u64>,
}

impl LiveHub {
    /// `capacity`: lines a reader may lag behind before it misses some.
    pub fn new(capacity: usize) -> Self {
        Self { lines: broadcast::Sender::new(capacity), taken: watch::Sender::new(0), ended: watch::Sender::new(0) }
    }

    /// Whether anybody listens; without listeners a line need not even be built.
    pub fn is_watched(&self) -> bool {
        self.lines.receiver_count() > 0
    }

    pub fn announce(&self, line: AttemptLine) {
        // Without a listener there is nobody to tell, which is no fault.
        let _ = self.lines.send(line);
    }

    /// Tells those who poll that there are more events, durably, or that deliveries have ended.
    pub fn moved(&self, taken: bool, ended: bool) {
        for (is_news, count) in [(taken, &self.taken), (ended, &self.ended)] {
            if is_news {
                count.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }

    pub(super) fn news(&self, of_deliveries: bool) -> watch::Receiver<u64> {
        if of_deliveries { self.ended.subscribe() } else { self.taken.subscribe() }
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<AttemptLine> {
        self.lines.subscribe()
    }
}

/// Which lines a reader wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveFilter {
    /// Name, or `tenant/name`.
    pub subscription: Option<String>,
    /// Only attempts that did not deliver.
    pub failed: bool,
    /// Only this tenant's.
    pub tenant: Option<String>,
}

impl LiveFilter {
    pub fn takes(&self, line: &AttemptLine) -> bool {
        let named = match self.subscription.as_deref() {
            None => true,
            Some(key) => match key.split_once('/') {
                Some((tenant, name)) => tenant == line.tenant && name == line.subscription,
                None => key == line.subscription,
            },
        };
        named
            && self.tenant.as_ref().is_none_or(|own| *own == line.tenant)
            && !(self.failed && line.status == DeliveryStatus::Delivered)
    }
}
