//! What records say of a delivery.

use crate::model::{Attempt, DeliveryId, Event, Exchange, OrderKey, Outcome, Subscription, delivery_id};
use crate::store::{Claim, DeliveryFacts};

pub(super) fn id_of(event: &Event, subscription: &Subscription, replay: u32) -> DeliveryId {
    delivery_id(event.position, subscription.tenant(), &subscription.name, replay)
}

/// What records say of an event's delivery.
pub(super) fn facts(event: &Event, delivery: DeliveryId, order: Option<OrderKey>) -> DeliveryFacts {
    DeliveryFacts {
        delivery: delivery.0.into_bytes(),
        position: event.position,
        seen: event.seen,
        event_id: event.id.clone(),
        event_type: event.event_type.clone(),
        order,
    }
}

/// The outcome that an attempt gets when the engine stopped while it was under way.
pub fn interrupted(claim: &Claim) -> Attempt {
    Attempt {
        number: claim.number,
        started: claim.at,
        duration_ms: 0,
        trigger: claim.trigger,
        outcome: Outcome::Unknown,
        exchange: Exchange {
            error: "the engine stopped while this request may have been on its way; it is not sent again".to_owned(),
            ..Exchange::default()
        },
    }
}
