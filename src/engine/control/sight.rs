//! What of the engine a caller sees: all of it, or the part of one tenant.

use std::collections::HashSet;

use crate::admin::Caller;
use crate::admin::api::{Books, SpoolBooks};
use crate::engine::running::Shared;
use crate::model::SubId;

/// The lanes a caller sees, those of removed subscriptions among them.
pub(super) struct Sight(Option<HashSet<SubId>>);

impl Sight {
    pub fn of(shared: &Shared, caller: &Caller) -> Self {
        Self(caller.tenant.as_ref().map(|own| {
            let ledger = shared.state.ledger();
            ledger.lanes.iter().filter(|(_, lane)| lane.tenant == *own).map(|(sub, _)| *sub).collect()
        }))
    }

    pub fn has(&self, sub: SubId) -> bool {
        self.0.as_ref().is_none_or(|seen| seen.contains(&sub))
    }
}

/// The books as far as a caller sees. The spool's lines are of all tenants together, and left out for one.
pub(super) fn books(mut books: Books, caller: &Caller) -> Books {
    if let Some(own) = &caller.tenant {
        books.spool = SpoolBooks::default();
        books.subscriptions.retain(|row| row.tenant == *own);
        books.tenants.retain(|row| row.tenant == *own);
        let names: Vec<String> =
            books.subscriptions.iter().map(|row| format!("{}/{}:", row.tenant, row.subscription)).collect();
        books.differences.retain(|sentence| names.iter().any(|name| sentence.starts_with(name)));
    }
    books
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Scope;
    use crate::admin::api::{DeliveryBooks, SubscriptionBooks};

    #[test]
    fn a_tenant_sees_its_own_books() {
        let row = |tenant: &str| SubscriptionBooks {
            tenant: tenant.into(),
            subscription: "erp".into(),
            deliveries: DeliveryBooks::default(),
        };
        let all = Books {
            spool: SpoolBooks { lines: 3, ..SpoolBooks::default() },
            subscriptions: vec![row("acme"), row("acme-two")],
            tenants: Vec::new(),
            differences: vec!["acme/erp: 1".into(), "acme-two/erp: 2".into(), "spool: 3".into()],
        };
        let caller = Caller { name: "a".into(), scope: Scope::Read, tenant: Some("acme".into()) };
        let seen = books(all.clone(), &caller);
        assert_eq!((seen.subscriptions.len(), seen.spool.lines), (1, 0));
        assert_eq!(seen.differences, ["acme/erp: 1"]);
        assert_eq!(books(all.clone(), &Caller::socket()), all);
    }
}
