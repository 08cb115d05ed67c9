//! `[[tenant]]`, and the rules that hold among the subscriptions of one tenant: unique names and how many.

use std::collections::BTreeMap;

use super::codes;
use super::dialects::Known;
use super::document::Place;
use super::reader::Table;
use super::report::Report;
use super::settings::TenantConfig;
use super::subscription::Draft;
use super::values::is_name;

/// A tenant's settings and where they are written.
pub(super) struct Tenant<'d> {
    pub(super) config: TenantConfig,
    id_at: Place<'d>,
    limit_at: Option<Place<'d>>,
}

impl<'d> Tenant<'d> {
    /// A tenant of a configuration that is in force; `at` stands for the place it was written at.
    pub(super) fn known(config: TenantConfig, at: Place<'d>) -> Self {
        Self { config, id_at: at, limit_at: None }
    }
}

/// The tenants that have a table, by id.
pub(super) type Tenants<'d> = BTreeMap<String, Tenant<'d>>;

/// Reads every `[[tenant]]`.
pub(super) fn read<'d>(tables: Vec<Table<'d>>, report: &mut Report<'_>) -> Tenants<'d> {
    let mut tenants = Tenants::new();
    for mut table in tables {
        let id = table.require("id", "\"…\"", report);
        let limit = table.take("max_subscriptions");
        let config = TenantConfig {
            id: id.and_then(|field| field.text(report)).unwrap_or_default().to_owned(),
            max_subscriptions: limit.and_then(|field| field.integer(0..=1_000_000, report)),
            require_https: table.take("require_https").and_then(|field| field.boolean(report)),
        };
        table.finish(report);
        let Some(id) = id else { continue };
        check_name(&config.id, "id", id.at, report);
        if let Some(first) = tenants.get(&config.id) {
            let message = format!("tenant {} is defined twice", id.at.quote(&config.id));
            let problem = report.problem(codes::DUPLICATE_NAME, id.at, message, "defined again");
            problem.also(first.id_at.spot("defined first"));
            continue;
        }
        let limit_at = limit.map(|field| field.at);
        tenants.insert(config.id.clone(), Tenant { config, id_at: id.at, limit_at });
    }
    tenants
}

/// Reports a name that cannot be one. `setting` is the key it stands under.
pub(super) fn check_name(text: &str, setting: &str, at: Place<'_>, report: &mut Report<'_>) {
    if !is_name(text) {
        let label = "1 to 128 bytes, no control characters, no blanks at the ends";
        report.problem(codes::BAD_VALUE, at, format!("`{setting}` is not a usable name"), label);
    }
}

/// Reports names that are used twice and tenants that have too many subscriptions.
pub(super) fn check_subscriptions(drafts: &[Draft<'_>], tenants: &Tenants<'_>, known: &Known, report: &mut Report<'_>) {
    let mut names = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for draft in drafts {
        let Some((name, at)) = &draft.name else { continue };
        match names.entry((draft.tenant.as_str(), *name)) {
            std::collections::btree_map::Entry::Occupied(first) => {
                let first: &Place<'_> = first.get();
                let message =
                    format!("subscription {} is defined twice in tenant \"{}\"", at.quote(name), draft.tenant);
                let problem = report.problem(codes::DUPLICATE_NAME, *at, message, "defined again");
                problem.also(first.spot("defined first")).help("names are unique within a tenant");
                continue;
            }
            std::collections::btree_map::Entry::Vacant(free) => free.insert(*at),
        };
        let tenant = tenants.get(&draft.tenant);
        if let Some((tenant, limit)) = tenant.and_then(|tenant| Some((tenant, tenant.config.max_subscriptions?))) {
            if count(&mut counts, (draft.tenant.as_str(), "")) == u64::from(limit) + 1 {
                let message = format!("tenant \"{}\" has more subscriptions than its limit of {limit}", draft.tenant);
                let problem = report.problem(codes::TOO_MANY, draft.at, message, "one too many");
                if let Some(place) = tenant.limit_at {
                    problem.also(place.spot("the limit"));
                }
            }
            continue;
        }
        let dialect = known.dialects.get(draft.dialect.as_str());
        let Some(limit) = dialect.and_then(|dialect| dialect.defaults().max_subscriptions) else { continue };
        if count(&mut counts, (draft.tenant.as_str(), draft.dialect.as_str())) == u64::from(limit) + 1 {
            let message = format!(
                "tenant \"{}\" has more subscriptions of dialect \"{}\" than its limit of {limit}",
                draft.tenant, draft.dialect
            );
            report
                .problem(codes::TOO_MANY, draft.at, message, "one too many")
                .help(format!("[[tenant]] id = \"{}\" with max_subscriptions sets another limit", draft.tenant));
        }
    }
}

/// Counts one more under `key`.
fn count<'k>(counts: &mut BTreeMap<(&'k str, &'k str), u64>, key: (&'k str, &'k str)) -> u64 {
    let count = counts.entry(key).or_insert(0);
    *count += 1;
    *count
}
