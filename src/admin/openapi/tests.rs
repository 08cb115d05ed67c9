use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::admin::api::*;

fn schemas() -> Map<String, Value> {
    serde_json::from_str(SCHEMAS).unwrap()
}

#[test]
fn every_route_is_in_the_document_with_its_scope_and_its_parameters() {
    let document = openapi();
    let docs = table::table();
    let known: BTreeSet<_> = docs.iter().map(|doc| (doc.method, doc.path)).collect();
    assert_eq!(known.len(), docs.len(), "a route is described twice");
    for route in routes() {
        let name = format!("{} {}", route.method, route.path);
        assert!(known.contains(&(route.method, route.path)), "{name} is not described: add a line to openapi/table.rs");
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        assert_eq!(operation["x-scope"], route.scope.as_str(), "{name}");
        let wanted: BTreeSet<&str> =
            route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let params = operation["parameters"].as_array().unwrap();
        let found: BTreeSet<&str> =
            params.iter().filter(|param| param["in"] == "path").filter_map(|param| param["name"].as_str()).collect();
        assert_eq!(found, wanted, "{name}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{name}");
    }
    let routed: BTreeSet<_> = routes().iter().map(|route| (route.method, route.path)).collect();
    let probes = BTreeSet::from([("GET", "/livez"), ("GET", "/readyz")]);
    let gone: Vec<_> = known.iter().filter(|doc| !routed.contains(doc) && !probes.contains(doc)).collect();
    assert!(gone.is_empty(), "described and not there: {gone:?}");
    let ids: BTreeSet<_> = docs.iter().map(Doc::id).collect();
    assert_eq!(ids.len(), docs.len(), "operation ids must differ");
}

#[test]
fn every_reference_leads_somewhere_and_every_shape_is_used() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| match value.as_str() {
                Some(text) if name == "$ref" => {
                    found.insert(text.rsplit('/').next().unwrap().to_owned());
                }
                _ => references(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    references(&openapi(), &mut found);
    let there: BTreeSet<String> = schemas().keys().cloned().collect();
    // The two that the stream carries are named in its description.
    let streamed = BTreeSet::from(["AttemptLine".to_owned(), "Gap".to_owned()]);
    assert_eq!(found.union(&streamed).cloned().collect::<BTreeSet<_>>(), there);
}

/// The type reads the example and writes back nothing else than the schema names.
#[track_caller]
fn reads<T: DeserializeOwned + Serialize>(name: &str) {
    let schema = &schemas()[name];
    let value: T = serde_json::from_value(schema["example"].clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let written = serde_json::to_value(&value).unwrap();
    let Some(members) = written.as_object() else { return };
    let named: BTreeSet<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(members.keys().collect::<BTreeSet<_>>(), named, "{name}");
}

#[test]
fn every_example_is_read_by_its_type() {
    reads::<WebhookList>("WebhookList");
    reads::<WebhookAnswer>("WebhookAnswer");
    reads::<Webhook>("Webhook");
    reads::<Counters>("Counters");
    reads::<OAuth2Shown>("OAuth2Shown");
    reads::<FieldFault>("FieldFault");
    reads::<WebhookCreated>("WebhookCreated");
    reads::<WebhookChanged>("WebhookChanged");
    reads::<WebhookRotated>("WebhookRotated");
    reads::<WebhookTested>("WebhookTested");
    reads::<DeliveryPage>("DeliveryPage");
    reads::<Delivery>("Delivery");
    reads::<DeliveryDetail>("DeliveryDetail");
    reads::<AttemptDetail>("AttemptDetail");
    reads::<AttemptLine>("AttemptLine");
    reads::<Gap>("Gap");
    reads::<ReplayOrder>("ReplayOrder");
    reads::<ReplayFilter>("ReplayFilter");
    reads::<ReplayJob>("ReplayJob");
    reads::<Page<ReplayJob>>("ReplayJobPage");
    reads::<ReplayAnswer>("ReplayAnswer");
    reads::<ReplayPreview>("ReplayPreview");
    reads::<CancelAnswer>("CancelAnswer");
    reads::<AttemptView>("AttemptView");
    reads::<RequestView>("RequestView");
    reads::<Accepted>("Accepted");
    reads::<AcceptedEvent>("AcceptedEvent");
    reads::<Token>("Token");
    reads::<Page<Token>>("TokenPage");
    reads::<NewToken>("NewToken");
    reads::<TokenAnswer>("TokenAnswer");
    reads::<Change>("Change");
    reads::<Page<Change>>("ChangePage");
    reads::<Replays>("Replays");
    reads::<ReplayRow>("ReplayRow");
    reads::<EventPage>("EventPage");
    reads::<EventRecord>("EventRecord");
    reads::<EventDetail>("EventDetail");
    reads::<MatchReport>("MatchReport");
    reads::<MatchRow>("MatchRow");
    reads::<DeliveryRef>("DeliveryRef");
    reads::<Page<QuarantineEntry>>("QuarantinePage");
    reads::<QuarantineEntry>("QuarantineEntry");
    reads::<QuarantineDetail>("QuarantineDetail");
    reads::<QuarantineAnswer>("QuarantineAnswer");
    reads::<Books>("Books");
    reads::<SpoolBooks>("SpoolBooks");
    reads::<SubscriptionBooks>("SubscriptionBooks");
    reads::<TenantBooks>("TenantBooks");
    reads::<Status>("Status");
    reads::<ConfigStatus>("ConfigStatus");
    reads::<SpoolStatus>("SpoolStatus");
    reads::<DeliveryStats>("DeliveryStats");
    reads::<Readiness>("Readiness");
    reads::<Check>("Check");
    reads::<ReloadReport>("ReloadReport");
    reads::<Version>("Version");
    reads::<Stats>("Stats");
    reads::<StatsPoint>("StatsPoint");
    reads::<BackupPlan>("BackupPlan");
    reads::<BackupFile>("BackupFile");
}
