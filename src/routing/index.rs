//! All subscriptions at once: an immutable index from tenant and type to those that may match, and their conditions
//! run over one shared reading of the event.

use std::collections::HashMap;
use std::sync::Arc;

use super::context::EventContext;
use super::explain::MatchVerdict;
use super::filter::CompiledFilter;
use super::trie::{Entry, Trie};
use crate::model::{Event, SubId};

/// A snapshot of who gets what; swapped whole when subscriptions change.
#[derive(Debug, Default)]
pub struct Router {
    /// Sorted by id; an [`Entry`] is a place in here, so entries sort as ids do.
    filters: Vec<(SubId, Arc<CompiledFilter>)>,
    tenants: HashMap<String, TenantIndex>,
}

#[derive(Debug, Default)]
struct TenantIndex {
    exact: HashMap<String, Vec<Entry>>,
    wildcards: Trie,
}

impl Router {
    /// Builds the index over the active subscriptions.
    pub fn build(mut filters: Vec<(SubId, Arc<CompiledFilter>)>) -> Self {
        filters.sort_by_key(|(id, _)| *id);
        let mut tenants: HashMap<String, TenantIndex> = HashMap::new();
        for (place, (_, filter)) in filters.iter().enumerate() {
            let entry = Entry::try_from(place).expect("ids are 32 bits and distinct");
            let index = tenants.entry(filter.tenant().to_owned()).or_default();
            for pattern in filter.patterns() {
                match pattern.exact() {
                    Some(event_type) => index.exact.entry(event_type).or_default().push(entry),
                    None => index.wildcards.insert(pattern, entry),
                }
            }
        }
        Self { filters, tenants }
    }

    /// Fills `found` with the subscriptions that take events of this one's tenant and type, whatever their conditions say;
    /// sorted and without repeats.
    pub fn candidates(&self, event: &Event, found: &mut Vec<SubId>) {
        found.clear();
        let Some(index) = self.tenants.get(event.tenant.as_str()) else { return };
        let mut entries = index.exact.get(event.event_type.as_str()).cloned().unwrap_or_default();
        index.wildcards.find(&event.event_type, &mut entries);
        entries.sort_unstable();
        found.extend(entries.iter().map(|entry| self.filters[*entry as usize].0));
        found.dedup();
    }

    /// Fills `matched` with the subscriptions that take this event, sorted and without repeats.
    pub fn matches(&self, event: &Event, matched: &mut Vec<SubId>) {
        matched.clear();
        let Some(index) = self.tenants.get(event.tenant.as_str()) else { return };
        let exact = index.exact.get(event.event_type.as_str()).map_or(&[][..], Vec::as_slice);
        if index.wildcards.is_empty() {
            self.judge(exact, event, matched);
            return;
        }
        let mut candidates = exact.to_vec();
        index.wildcards.find(&event.event_type, &mut candidates);
        candidates.sort_unstable();
        self.judge(&candidates, event, matched);
    }

    /// Runs the conditions of sorted candidates.
    fn judge(&self, candidates: &[Entry], event: &Event, matched: &mut Vec<SubId>) {
        let context = EventContext::new(event);
        let mut last = None;
        for &entry in candidates {
            let (id, filter) = &self.filters[entry as usize];
            if last != Some(entry) && (!filter.has_condition() || filter.condition_holds(&context)) {
                matched.push(*id);
            }
            last = Some(entry);
        }
        matched.dedup();
    }

    /// What every subscription says of this event, matching or not, in order of id.
    pub fn explain(&self, event: &Event) -> Vec<(SubId, MatchVerdict)> {
        let context = EventContext::new(event);
        self.filters.iter().map(|(id, filter)| (*id, filter.explain_in(event, &context))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample;
    use super::*;
    use crate::model::Filter;

    fn filter(tenant: &str, events: &[String], condition: Option<&str>) -> Arc<CompiledFilter> {
        let filter =
            Filter { tenant: tenant.to_owned(), events: events.to_vec(), condition: condition.map(str::to_owned) };
        Arc::new(CompiledFilter::compile(&filter).unwrap())
    }

    #[test]
    fn two_matching_patterns_count_once() {
        let events = ["a.b", "a.*", "**", "a.b"].map(str::to_owned);
        let router = Router::build(vec![
            (SubId(9), filter("default", &events, None)),
            (SubId(3), filter("default", &events, Some("data.x == 1"))),
            (SubId(4), filter("default", &events, Some("data.x == 2"))),
            (SubId(5), filter("other", &events, None)),
        ]);
        let mut matched = vec![SubId(77)];
        let event = sample::event(r#"{"type":"a.b","data":{"x":1}}"#);
        router.matches(&event, &mut matched);
        assert_eq!(matched, [SubId(3), SubId(9)]);
        let verdicts: Vec<_> = router.explain(&event).iter().map(|(id, verdict)| (id.0, verdict.as_str())).collect();
        assert_eq!(verdicts, [(3, "matched"), (4, "condition_false"), (5, "wrong_tenant"), (9, "matched")]);
        router.matches(&sample::event(r#"{"type":"a.b","tenant":"nobody","data":1}"#), &mut matched);
        assert_eq!(matched, []);
    }

    fn pattern() -> impl Strategy<Value = String> {
        proptest::collection::vec("a|b|c|\\*|\\*\\*", 1..5).prop_map(|segments| segments.join("."))
    }

    proptest! {
        #[test]
        fn the_index_agrees_with_asking_everyone(
            subscriptions in proptest::collection::vec(
                ("t|u", proptest::collection::vec(pattern(), 0..4), proptest::option::of("data\\.x == [0-2]")),
                0..12,
            ),
            tenant in "t|u",
            event_type in proptest::collection::vec("a|b|c", 1..5),
            x in 0..3,
        ) {
            let filters: Vec<_> = subscriptions
                .iter()
                .enumerate()
                .map(|(index, (tenant, events, condition))| {
                    (SubId(100 - index as u32), filter(tenant, events, condition.as_deref()))
                })
                .collect();
            let line = format!(r#"{{"type":"{}","tenant":"{tenant}","data":{{"x":{x}}}}}"#, event_type.join("."));
            let event = sample::event(&line);
            let mut expected: Vec<SubId> =
                filters.iter().filter(|(_, filter)| filter.matches(&event)).map(|(id, _)| *id).collect();
            expected.sort();
            let mut candidates: Vec<SubId> =
                filters.iter().filter(|(_, filter)| filter.may_match(&event)).map(|(id, _)| *id).collect();
            candidates.sort();
            let router = Router::build(filters);
            let mut matched = Vec::new();
            router.candidates(&event, &mut matched);
            prop_assert_eq!(&matched, &candidates);
            router.matches(&event, &mut matched);
            prop_assert_eq!(&matched, &expected);
            let explained: Vec<SubId> =
                router.explain(&event).into_iter().filter(|(_, verdict)| verdict.is_match()).map(|(id, _)| id).collect();
            prop_assert_eq!(explained, expected);
        }
    }
}
