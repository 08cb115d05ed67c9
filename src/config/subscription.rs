//! `[[subscription]]`: one table becomes one [`Subscription`], with what it does not say taken from its dialect and
//! then from `[delivery]`.

use toml::de::DeValue;

use crate::model::{Filter, Mode, Rate, RetrySchedule, Secret, SourceKind, SourceRef, Start, Subscription, Timestamp};
use crate::wire::Dialect;

use super::codes;
use super::dialects::Known;
use super::document::Place;
use super::reader::{Field, Table};
use super::report::Report;
use super::sections::{IN_FLIGHT_RANGE, MODES, TIMEOUT_RANGE};
use super::settings::DeliveryDefaults;
use super::tenants::{Tenants, check_name};
use super::{endpoint, oauth, params, presets, secrets, triggers, values};

const DEFAULT_TENANT: &str = "default";
const DEFAULT_DIALECT: &str = "standard";

/// What is known before the first subscription is read.
pub(super) struct Ground<'g, 'd> {
    pub(super) known: &'g Known,
    pub(super) tenants: &'g Tenants<'d>,
    pub(super) delivery: &'g DeliveryDefaults,
}

/// A subscription as far as it could be read: enough to judge it beside the others.
pub(super) struct Draft<'d> {
    pub(super) at: Place<'d>,
    pub(super) name: Option<(&'d str, Place<'d>)>,
    pub(super) tenant: String,
    pub(super) dialect: String,
    /// `None` when something was wrong, which has been reported.
    pub(super) subscription: Option<Subscription>,
}

/// Reads one table.
pub(super) fn read<'d>(mut table: Table<'d>, ground: &Ground<'_, 'd>, report: &mut Report<'_>) -> Draft<'d> {
    let at = table.at;
    let name = table.require("name", "\"…\"", report).and_then(|field| Some((field.text(report)?, field.at)));
    if let Some((name, at)) = name {
        check_name(name, "name", at, report);
    }
    let tenant = table.take("tenant").and_then(|field| {
        let tenant = field.text(report)?;
        check_name(tenant, "tenant", field.at, report);
        Some(tenant)
    });
    let tenant = tenant.unwrap_or(DEFAULT_TENANT).to_owned();
    let (dialect_name, dialect_at) = match table.take("dialect") {
        Some(field) => (field.text(report), field.at),
        None => (Some(DEFAULT_DIALECT), at),
    };
    let dialect = dialect_name.and_then(|name| ground.known.find(name, dialect_at, report));

    let subscription = body(&mut table, name.map(|(name, _)| name), &tenant, dialect, ground, report);
    table.finish(report);
    Draft { at, name, tenant, dialect: dialect_name.unwrap_or_default().to_owned(), subscription }
}

fn body(
    table: &mut Table<'_>,
    name: Option<&str>,
    tenant: &str,
    dialect: Option<&Dialect>,
    ground: &Ground<'_, '_>,
    report: &mut Report<'_>,
) -> Option<Subscription> {
    let events = triggers::patterns(table, dialect, report);
    let condition = table.take("where").map(|field| triggers::condition(&field, report));
    let url = url(table, tenant, dialect, ground, report);
    let (mode, retry) = promise(table, dialect, ground, report);
    let timeout = table.take("timeout").and_then(|field| field.duration(TIMEOUT_RANGE, report));
    let in_flight = table.take("max_in_flight").and_then(|field| field.integer(IN_FLIGHT_RANGE, report));
    let secrets = signing_secrets(table, dialect, report);
    let (headers, oauth2) = authentication(table, report);
    let tls = tls(table, url.as_ref(), report);
    let rate_limit = table.take("rate_limit").and_then(|field| rate(&field, report));
    let order_by = table.take("order_by").and_then(|field| order_by(&field, report));
    let supersede = supersede(table, order_by.is_some(), report);
    let start = table.take("start").map_or(Some(Start::Now), |field| start(&field, report));
    let active = table.take("active").map_or(Some(true), |field| field.boolean(report));
    let written_params = table.take("params");
    let params = params::read(written_params, dialect, table, report);

    Some(Subscription {
        name: name?.to_owned(),
        filter: Filter { tenant: tenant.to_owned(), events: events?, condition: condition.unwrap_or_default() },
        url: url?.into(),
        dialect: dialect?.name().to_owned(),
        mode,
        timeout: timeout.or(dialect?.defaults().timeout).unwrap_or(ground.delivery.timeout),
        retry,
        max_in_flight: in_flight.unwrap_or(ground.delivery.max_in_flight),
        secrets,
        headers,
        oauth2,
        tls,
        rate_limit,
        order_by,
        supersede,
        start: start?,
        active: active?,
        params,
        source: SourceRef {
            kind: SourceKind::File,
            file: table.at.doc.source.path.clone(),
            line: u32::try_from(table.at.line() + 1).unwrap_or(u32::MAX),
        },
        withheld: None,
    })
}

fn url(
    table: &mut Table<'_>,
    tenant: &str,
    dialect: Option<&Dialect>,
    ground: &Ground<'_, '_>,
    report: &mut Report<'_>,
) -> Option<url::Url> {
    let allow_http = table.take("allow_http").and_then(|field| field.boolean(report)).unwrap_or(false);
    let field = table.require("url", "\"…\"", report)?;
    let url = endpoint::url(&field, report)?;
    let of_tenant = ground.tenants.get(tenant).and_then(|each| each.config.require_https);
    let of_dialect = dialect.is_some_and(|dialect| dialect.defaults().require_https);
    if url.scheme() == "http" && !allow_http && of_tenant.unwrap_or(of_dialect) {
        let place = field.at.within(0.."http://".len());
        let help = plain_http(tenant, of_tenant, report);
        report.problem(codes::NEEDS_HTTPS, place, "url must use https", "plain http").help(help);
    }
    Some(url)
}

/// How http becomes possible, where it is not.
fn plain_http(tenant: &str, of_tenant: Option<bool>, report: &Report<'_>) -> String {
    let whole = match of_tenant {
        Some(_) => format!("`require_https = false` in the [[tenant]] with id = \"{tenant}\" in config.toml"),
        None => format!("a [[tenant]] with id = \"{tenant}\" and `require_https = false` in config.toml"),
    };
    let one = match report.in_json {
        true => "set the member \"allow_http\": true beside \"url\" (with a token of no tenant, or over the socket)",
        false => "set `allow_http = true` in this [[subscription]]",
    };
    format!("write https://; on a trusted network {one}, or for all of its tenant {whole}")
}

/// Mode and retry schedule: at most once means one attempt, whatever the defaults say.
fn promise(
    table: &mut Table<'_>,
    dialect: Option<&Dialect>,
    ground: &Ground<'_, '_>,
    report: &mut Report<'_>,
) -> (Mode, RetrySchedule) {
    let defaults = dialect.map(Dialect::defaults);
    let mode = table.take("mode").and_then(|field| field.word("delivery mode", "a mode", MODES, report));
    let mode = mode.or(defaults.and_then(|defaults| defaults.mode)).unwrap_or(ground.delivery.mode);
    let retry_field = table.take("retry");
    let retry = retry_field.and_then(|field| presets::read(&field, report));
    if mode == Mode::AtMostOnce {
        if let (Some(field), Some(retry)) = (retry_field, &retry)
            && !retry.waits.is_empty()
        {
            let message = "`retry` has no effect: the subscription is at-most-once";
            let help = format!("leave it out, or set {}", report.assign("mode", "\"at-least-once\""));
            report.problem(codes::NO_EFFECT, field.key, message, "never used").help(help);
        }
        return (mode, RetrySchedule::none());
    }
    let of_dialect = defaults.and_then(|defaults| defaults.retry.as_deref()).and_then(presets::preset);
    (mode, retry.or(of_dialect).unwrap_or_else(|| ground.delivery.retry.clone()))
}

fn signing_secrets(table: &mut Table<'_>, dialect: Option<&Dialect>, report: &mut Report<'_>) -> Vec<Secret> {
    let found = secrets::read(table, secrets::SIGNING, report);
    let Some(dialect) = dialect else { return Vec::new() };
    if !found.written && dialect.needs_secret() && !table.may_mean("secret") {
        let message = format!("dialect \"{}\" signs every request, and there is no secret", dialect.name());
        let help = match report.in_json {
            true => "give \"secret\" as well: it signs from now on",
            false => "`secret_env` and `secret` are the other forms",
        };
        report
            .problem(codes::BAD_SECRET, table.at, message, "add secret_file = \"…\" below this line")
            .member("/secret")
            .help(help);
    }
    for (place, secret) in &found.secrets {
        if let Err(fault) = dialect.check_secret(secret) {
            let message = format!("dialect \"{}\" cannot sign with this secret", dialect.name());
            report.problem(codes::BAD_SECRET, *place, message, fault);
        }
    }
    found.secrets.into_iter().map(|(_, secret)| secret).collect()
}

fn authentication(
    table: &mut Table<'_>,
    report: &mut Report<'_>,
) -> (Vec<(String, Secret)>, Option<crate::model::OAuth2>) {
    let headers_field = table.take("headers");
    let headers = headers_field.map(|field| endpoint::headers(&field, report)).unwrap_or_default();
    let oauth_field = table.take("oauth2");
    let oauth2 = oauth_field.and_then(|field| oauth::read(&field, report));
    if let (Some(first), Some(second)) = (headers_field, oauth_field)
        && headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
    {
        report
            .problem(codes::EXCLUDES, second.key, "`oauth2` and a header Authorization exclude each other", "sets it")
            .also(first.key.spot("sets it as well"));
    }
    (headers, oauth2)
}

fn tls(table: &mut Table<'_>, url: Option<&url::Url>, report: &mut Report<'_>) -> crate::model::Tls {
    let Some(field) = table.take("tls") else { return crate::model::Tls::default() };
    if url.is_some_and(|url| url.scheme() == "http") {
        report.problem(codes::NO_EFFECT, field.key, "`tls` has no effect on a plain http URL", "never used");
    }
    endpoint::tls(&field, report).unwrap_or_default()
}

fn rate(field: &Field<'_>, report: &mut Report<'_>) -> Option<Rate> {
    let text = field.text(report)?;
    let rate = values::rate(text);
    if rate.is_none() {
        let message = format!("`{}` is not a rate: {}", field.name, field.at.quote(text));
        let help = format!("write {}, \"1000/h\" or \"3/10s\"", report.assign(field.name, "\"50/s\""));
        report.problem(codes::BAD_VALUE, field.at, message, "expected COUNT/UNIT").help(help);
    }
    rate
}

/// `key`, or a JSON pointer (RFC 6901) into the event.
fn order_by(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = field.text(report)?;
    let tildes_escape = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    if text == "key" || text.starts_with('/') && tildes_escape {
        return Some(text.to_owned());
    }
    let message = format!("`order_by` cannot be {}", field.at.quote(text));
    let help = order_help("write", report);
    report.problem(codes::BAD_VALUE, field.at, message, "neither \"key\" nor a JSON pointer").help(help);
    None
}

fn order_help(verb: &str, report: &Report<'_>) -> String {
    let example = report.assign("order_by", "\"key\"");
    format!("{verb} {example}, or a pointer into the event such as \"/data/id\"")
}

/// Means something only where deliveries wait for each other.
fn supersede(table: &mut Table<'_>, is_ordered: bool, report: &mut Report<'_>) -> bool {
    let Some(field) = table.take("supersede") else { return false };
    let supersede = field.boolean(report).unwrap_or(false);
    if supersede && !is_ordered {
        let message = "`supersede` needs `order_by`: it says which deliveries are states of the same thing";
        let help = order_help("add", report);
        report.problem(codes::BAD_VALUE, field.key, message, "of what?").help(help);
    }
    supersede
}

fn start(field: &Field<'_>, report: &mut Report<'_>) -> Option<Start> {
    let text = match field.value {
        DeValue::Datetime(instant) => instant.to_string(),
        _ => field.text(report)?.to_owned(),
    };
    match text.as_str() {
        "now" => return Some(Start::Now),
        "beginning" => return Some(Start::Beginning),
        _ => {}
    }
    let since = Timestamp::parse(&text).map(Start::Since);
    if since.is_none() {
        let message = format!("`start` cannot be {}", field.at.quote(&text));
        let problem = report.problem(codes::BAD_VALUE, field.at, message, "not a place in the log");
        problem.help("write \"now\", \"beginning\" or an instant such as \"2026-03-12T10:00:00Z\"");
    }
    since
}
