//! OAuth2 client credentials of a subscription.

use crate::model::{OAuth2, OAuth2Body};

use super::codes;
use super::endpoint;
use super::reader::Field;
use super::report::Report;
use super::secrets;

const BODIES: &[(&str, OAuth2Body)] = &[("form", OAuth2Body::Form), ("json", OAuth2Body::Json)];
/// What the token request says anyway (RFC 6749 section 4.4.2).
const OWN_PARAMS: &[&str] = &["grant_type", "client_id", "client_secret", "scope"];

/// Reads `oauth2 = { token_url, client_id, client_secret_file, scope, body, params, headers }`.
pub(super) fn read(field: &Field<'_>, report: &mut Report<'_>) -> Option<OAuth2> {
    let mut table = field.table("oauth2", report)?;
    let token_url = table.require("token_url", "\"…\"", report).and_then(|field| endpoint::url(&field, report));
    let client_id = table.require("client_id", "\"…\"", report).and_then(|field| field.filled(report));
    let found = secrets::read(&mut table, secrets::CLIENT, report);
    if !found.written {
        // A request cannot name the files of the engine's machine, or need not.
        let form = if report.in_json { "client_secret" } else { "client_secret_file" };
        table.missing(form, "\"…\"", report);
    }
    if let [_, (place, _), ..] = found.secrets[..] {
        report.problem(codes::BAD_VALUE, place, "an OAuth2 client has one secret", "a second one");
    }
    let scope = table.take("scope").and_then(|field| field.text(report)).filter(|scope| !scope.is_empty());
    let body = table
        .take("body")
        .map_or(Some(OAuth2Body::Form), |field| field.word("body of the token request", "a body", BODIES, report));
    let mut params = std::collections::BTreeMap::new();
    if let Some(mut table) = table.take("params").and_then(|field| field.table("oauth2.params", report)) {
        for entry in table.take_all() {
            let Some(value) = entry.text(report) else { continue };
            if OWN_PARAMS.contains(&entry.name) {
                let message = format!("`{}` cannot be an extra parameter", entry.name);
                report.problem(codes::GIVEN_TWICE, entry.key, message, "the token request has it already");
            }
            params.insert(entry.name.to_owned(), value.to_owned());
        }
    }
    let headers = table.take("headers").map(|field| endpoint::headers(&field, report)).unwrap_or_default();
    table.finish(report);
    Some(OAuth2 {
        token_url: token_url?.into(),
        client_id: client_id?.to_owned(),
        client_secret: found.secrets.into_iter().next()?.1,
        scope: scope.map(str::to_owned),
        body: body?,
        params,
        headers,
    })
}
