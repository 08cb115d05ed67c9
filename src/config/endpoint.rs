//! Where and how a subscription connects: URL, headers, TLS files.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

use crate::model::{Secret, Tls};

use super::codes;
use super::reader::Field;
use super::report::Report;
use super::values::{is_header_name, is_header_value};

/// Header fields that belong to the HTTP client: setting them would break the framing of the request.
const RESERVED: &[&str] = &["host", "content-length", "transfer-encoding", "connection"];

/// Reads an absolute http or https URL without user information, fragment or port 0. Answers the canonical form.
pub(super) fn url(field: &Field<'_>, report: &mut Report<'_>) -> Option<Url> {
    let text = field.filled(report)?;
    let in_json = report.in_json;
    let mut refuse = |range: std::ops::Range<usize>, message: String, label: &str, help: &str| {
        let problem = report.problem(codes::BAD_URL, field.at.within(range), message, label);
        problem.help(help);
        None
    };
    let name = field.name;
    if let Some(at) = text.find(|at: char| !at.is_ascii_graphic()) {
        let message = format!("`{name}` holds a character that a URL cannot have");
        return refuse(at..at + 1, message, "write it percent-encoded", "names outside ASCII are written in punycode");
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            return refuse(
                0..text.len(),
                format!("`{name}` is not a URL"),
                &error.to_string(),
                "write https://host/path",
            );
        }
    };
    if !is_http(&url) {
        let message = format!("`{name}` must begin with https:// or http://");
        return refuse(0..url.scheme().len(), message, "not a scheme for webhooks", "write https://host/path");
    }
    let authority = text.find("//").map_or(0, |at| at + 2);
    if !url.username().is_empty() || url.password().is_some() {
        let end = text.find('@').unwrap_or(text.len());
        let help = match in_json {
            true => "send it as a header: \"headers\": {\"Authorization\": \"Basic …\"}",
            false => "send it as a header: headers = { Authorization = \"Basic …\" }",
        };
        return refuse(authority..end, format!("`{name}` must not hold a user or password"), "not sent this way", help);
    }
    if url.fragment().is_some() {
        let at = text.find('#').unwrap_or(0);
        return refuse(at..text.len(), format!("`{name}` has a fragment"), "is never sent", "leave it out");
    }
    if url.port() == Some(0) {
        return refuse(authority..text.len(), format!("`{name}` has port 0"), "no such port", "write the port or none");
    }
    Some(url)
}

/// Whether the scheme is http or https.
pub(super) fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// Reads a table of header fields. Values are secrets.
pub(super) fn headers(field: &Field<'_>, report: &mut Report<'_>) -> Vec<(String, Secret)> {
    let Some(mut table) = field.table(field.name, report) else { return Vec::new() };
    let mut headers = Vec::<(String, Secret)>::new();
    for entry in table.take_all() {
        let name = entry.name;
        let Some(value) = entry.text(report) else { continue };
        let mut refuse = |place, message: String, label: &str| {
            report.problem(codes::BAD_HEADER, place, message, label);
        };
        if !is_header_name(name) {
            refuse(entry.key, "this is not a header name".to_owned(), "letters, digits and - only");
        } else if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
            refuse(entry.key, format!("the header {name} cannot be set"), "belongs to the HTTP client");
        } else if headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            refuse(entry.key, format!("the header {name} is given twice"), "differs in case only");
        } else if !is_header_value(value) {
            let label = "visible ASCII, no line breaks, no blanks at the ends";
            refuse(entry.at, format!("the value of the header {name} is not legal"), label);
        } else {
            headers.push((name.to_owned(), Secret::new(value)));
        }
    }
    headers
}

/// Reads `tls` and looks into its files: a certificate that nobody can parse would otherwise be ignored in silence.
pub(super) fn tls(field: &Field<'_>, report: &mut Report<'_>) -> Option<Tls> {
    let mut table = field.table("tls", report)?;
    let ca_file = table.take("ca_file").and_then(|field| certificates(&field, report));
    let cert = table.take("client_cert_file");
    let key = table.take("client_key_file");
    match (&cert, &key) {
        (Some(_), None) => table.missing("client_key_file", "\"…\"", report),
        (None, Some(_)) => table.missing("client_cert_file", "\"…\"", report),
        _ => {}
    }
    let client_cert_file = cert.and_then(|field| certificates(&field, report));
    let client_key_file = key.and_then(|field| private_key(&field, report));
    table.finish(report);
    Some(Tls { ca_file, client_cert_file, client_key_file })
}

fn certificates(field: &Field<'_>, report: &mut Report<'_>) -> Option<std::path::PathBuf> {
    let (path, content) = report.read_file(field)?;
    let parsed = CertificateDer::pem_slice_iter(&content.bytes).collect::<Result<Vec<_>, _>>();
    let fault = match parsed {
        Ok(found) if found.is_empty() => Some("no certificate in it (PEM)"),
        Ok(found) => {
            let mut roots = rustls::RootCertStore::empty();
            let readable = found.into_iter().all(|certificate| roots.add(certificate).is_ok());
            (!readable).then_some("a certificate in it cannot be parsed")
        }
        Err(_) => Some("damaged PEM"),
    };
    if let Some(fault) = fault {
        let message = format!("the file of `{}` cannot be used", field.name);
        report.problem(codes::BAD_TLS_FILE, field.at, message, fault);
    }
    report.remember(&path, &content.bytes);
    Some(path)
}

fn private_key(field: &Field<'_>, report: &mut Report<'_>) -> Option<std::path::PathBuf> {
    let (path, content) = report.read_secret_file(field)?;
    if PrivateKeyDer::from_pem_slice(&content.bytes).is_err() {
        let message = format!("the file of `{}` cannot be used", field.name);
        let problem = report.problem(codes::BAD_TLS_FILE, field.at, message, "no private key in it (PEM)");
        problem.help("an encrypted key must be decrypted first");
    }
    report.remember(&path, &content.bytes);
    Some(path)
}
