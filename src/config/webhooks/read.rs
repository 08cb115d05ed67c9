//! One written webhook becomes a [`Subscription`], judged as the files would judge it in the configuration in force.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::codes;
use super::super::dialects::Known;
use super::super::document::{Document, Place, SourceText, syntax_problem};
use super::super::problems::Problem;
use super::super::reader::Table;
use super::super::report::Report;
use super::super::settings::Config;
use super::super::subscription::{self, Ground};
use super::super::tenants::{Tenant, Tenants};
use super::block::{Block, escape};
use super::{FieldFault, OVERLAP};
use crate::model::{SourceKind, SourceRef, Subscription};

/// What a webhook comes to.
pub(super) struct Reading {
    /// `None` when there are errors.
    pub(super) subscription: Option<Subscription>,
    pub(super) errors: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// Files it names, and the digests of those that must be noticed when they change.
    pub(super) files: Vec<PathBuf>,
    pub(super) digests: BTreeMap<PathBuf, [u8; 32]>,
}

/// Reads `text`, one `[[subscription]]` of `tenant`. `path` is the file that it is to stand in.
pub(super) fn read(text: &str, tenant: &str, path: &Path, config: &Config) -> Reading {
    let env = |name: &str| std::env::var(name).ok();
    let mut report = Report::new(&env);
    report.in_json = true;
    let source = SourceText::new(path.to_owned(), text.to_owned());
    let (document, faults) = Document::parse(0, &source);
    for fault in faults {
        let place = Place::new(&document, fault.span);
        report.syntax(place, syntax_problem(place, &fault.message));
    }
    let whole = Place::new(&document, 0..0);
    let known = Known::in_force(config.dialects.clone());
    let tenant = config.tenant(tenant).map(|tenant| (tenant.id.clone(), Tenant::known(tenant.clone(), whole)));
    let tenants: Tenants<'_> = tenant.into_iter().collect();
    let ground = Ground { known: &known, tenants: &tenants, delivery: &config.delivery };
    let mut root = Table::new("the document", whole, &document.root);
    let items = root.take("subscription").and_then(|field| field.items(&mut report)).unwrap_or_default();
    let table = items.first().and_then(|item| item.table("the webhook", &mut report));
    let subscription = table.and_then(|mut table| {
        // How long older secrets sign is not a setting.
        table.take(OVERLAP);
        subscription::read(table, &ground, &mut report).subscription
    });
    let verdict = report.finish(path);
    let source = SourceRef { kind: SourceKind::Api, file: path.to_owned(), line: 0 };
    let sound = verdict.problems.errors.is_empty();
    Reading {
        subscription: subscription.filter(|_| sound).map(|subscription| Subscription { source, ..subscription }),
        errors: verdict.problems.errors,
        warnings: verdict.problems.warnings,
        files: verdict.files,
        digests: verdict.digests,
    }
}

/// A problem in `block` as whoever asked over the API reads it.
pub(super) fn fault_of(problem: &Problem, block: &Block) -> FieldFault {
    let base = block.pointer(problem.at.line);
    let pointer = match &problem.member {
        Some(member) => format!("{base}/{}", escape(&member[1..]).replace("~1", "/")),
        None => base.to_owned(),
    };
    // Under these codes the label says what is wrong, and the message only what it is wrong with.
    let telling = [
        codes::BAD_CONDITION,
        codes::BAD_SECRET,
        codes::BAD_URL,
        codes::BAD_HEADER,
        codes::BAD_TLS_FILE,
        codes::BAD_PATTERN,
        codes::UNREADABLE,
    ];
    let says_more = telling.contains(&problem.code) && problem.member.is_none() && !problem.at.label.is_empty();
    let detail = match says_more {
        true => format!("{}: {}", problem.message, problem.at.label),
        false => problem.message.clone(),
    };
    FieldFault { pointer, code: problem.code, detail, help: problem.help.clone() }
}
