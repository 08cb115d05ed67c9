//! From a path to a verdict: read every file, parse, put the tables together, build, and answer with all or nothing.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeValue;

use super::codes;
use super::dialects;
use super::disk;
use super::document::{Document, Place, SourceText, syntax_problem};
use super::problems::{Problem, Problems};
use super::reader::{Field, Table};
use super::report::Report;
use super::sections;
use super::settings::Config;
use super::subscription::{self, Ground};
use super::tenants;
use super::webhooks::Webhooks;

/// A configuration that can be run, and what its author may want to look at.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Problem>,
}

/// Loads `path` and the `conf.d/*.toml` beside it; `secret_env` looks into the process' environment.
///
/// # Errors
/// Everything that is wrong with any of the files, in one pass.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    match disk::read_text(path) {
        Ok(text) => load_text(path, text, &|name| std::env::var(name).ok()),
        Err(error) => {
            let mut report = Report::new(&|_| None);
            report.file_problem(path, "cannot read the configuration", disk::say(&error));
            Err(report.finish(path).problems)
        }
    }
}

/// Loads `text` as if it stood in `path`, which need not exist. `env` answers `secret_env`.
///
/// # Errors
/// As [`load`].
pub fn load_text(path: &Path, text: String, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    let mut report = Report::new(env);
    report.files.push(path.to_owned());
    let mut sources = vec![SourceText::new(path.to_owned(), text)];
    sources.extend(fragments(path, &mut report));

    let mut documents = Vec::new();
    let mut faults = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let (document, found) = Document::parse(index, source);
        documents.push(document);
        faults.push(found);
    }
    for (document, found) in documents.iter().zip(faults) {
        for fault in found {
            let place = Place::new(document, fault.span);
            report.syntax(place, syntax_problem(place, &fault.message));
        }
    }

    let config = build(&documents, path.parent().unwrap_or(Path::new("")), &mut report);
    let verdict = report.finish(path);
    if !verdict.problems.errors.is_empty() {
        return Err(verdict.problems);
    }
    let config = Config { files: verdict.files, digests: verdict.digests, ..config };
    Ok(Loaded { config, warnings: verdict.problems.warnings })
}

/// The files of `conf.d` beside `path`.
fn fragments(path: &Path, report: &mut Report<'_>) -> Vec<SourceText> {
    let dir = path.with_file_name("conf.d");
    let paths = match disk::toml_files(&dir) {
        Ok(paths) => paths,
        Err(error) => {
            report.file_problem(&dir, "cannot list conf.d", disk::say(&error));
            return Vec::new();
        }
    };
    if dir.is_dir() {
        report.files.push(dir);
    }
    let mut sources = Vec::new();
    for path in paths {
        match disk::read_text(&path) {
            Ok(text) => sources.push(SourceText::new(path.clone(), text)),
            Err(error) => report.file_problem(&path, "cannot read the configuration", disk::say(&error)),
        }
        report.files.push(path);
    }
    sources
}

fn build<'d>(documents: &'d [Document<'d>], base: &Path, report: &mut Report<'_>) -> Config {
    let mut tables = Tables::collect(documents, report);
    let spool = sections::spool(tables.single("[spool]"), base, report);
    let state = sections::state(tables.single("[state]"), base, report);
    let known = dialects::compile(&tables.dialects, report);
    let mut admin = tables.single("[admin]");
    let webhook_dialect = sections::webhook_dialect(&mut admin, &known, report);
    let admin = sections::admin(admin, &state, report);
    let delivery = sections::delivery(tables.single("[delivery]"), report);
    let network = sections::network(tables.single("[network]"), report);
    let logging = sections::logging(tables.single("[logging]"), report);
    let logs = sections::logs(tables.logs, report);
    let tenants = tenants::read(tables.tenants, report);

    let ground = Ground { known: &known, tenants: &tenants, delivery: &delivery };
    let drafts = tables.subscriptions.into_iter().map(|table| subscription::read(table, &ground, report));
    let drafts = drafts.collect::<Vec<_>>();
    tenants::check_subscriptions(&drafts, &tenants, &known, report);

    Config {
        spool,
        logs,
        state,
        admin,
        delivery,
        network,
        logging,
        tenants: tenants.into_values().map(|tenant| tenant.config).collect(),
        subscriptions: drafts.into_iter().filter_map(|draft| draft.subscription).collect(),
        webhooks: Webhooks::default(),
        webhook_dialect,
        dialects: known.dialects,
        written_dialects: known.written,
        files: Vec::new(),
        digests: BTreeMap::new(),
    }
}

/// The tables of every file, sorted by kind and merged where there is only one.
struct Tables<'d> {
    first: Place<'d>,
    singles: BTreeMap<&'static str, Table<'d>>,
    logs: Vec<Table<'d>>,
    tenants: Vec<Table<'d>>,
    subscriptions: Vec<Table<'d>>,
    dialects: Vec<Field<'d>>,
}

const SINGLES: [(&str, &str); 6] = [
    ("spool", "[spool]"),
    ("state", "[state]"),
    ("admin", "[admin]"),
    ("delivery", "[delivery]"),
    ("network", "[network]"),
    ("logging", "[logging]"),
];

impl<'d> Tables<'d> {
    fn collect(documents: &'d [Document<'d>], report: &mut Report<'_>) -> Self {
        let mut tables = Self {
            first: Place::new(documents.first().expect("the main file is always there"), 0..0),
            singles: BTreeMap::new(),
            logs: Vec::new(),
            tenants: Vec::new(),
            subscriptions: Vec::new(),
            dialects: Vec::new(),
        };
        for document in documents {
            let mut root = Table::new("the configuration", Place::new(document, 0..0), &document.root);
            for (name, title) in SINGLES {
                let Some(table) = root.take(name).and_then(|field| field.table(title, report)) else { continue };
                match tables.singles.get_mut(title) {
                    Some(first) => first.merge(table, report),
                    None => {
                        tables.singles.insert(title, table);
                    }
                }
            }
            tables.logs.extend(several(&mut root, "log", report));
            tables.tenants.extend(several(&mut root, "tenant", report));
            tables.subscriptions.extend(several(&mut root, "subscription", report));
            let dialects = root.take("dialect").and_then(|field| field.table("[dialect]", report));
            tables.dialects.extend(dialects.map(|mut table| table.take_all()).unwrap_or_default());
            root.finish(report);
        }
        tables
    }

    /// The table of that title, or an empty one.
    fn single(&mut self, title: &'static str) -> Table<'d> {
        self.singles.remove(title).unwrap_or_else(|| Table::empty(title, self.first))
    }
}

/// The tables of an array such as `[[subscription]]`.
fn several<'d>(root: &mut Table<'d>, name: &'static str, report: &mut Report<'_>) -> Vec<Table<'d>> {
    let Some(field) = root.take(name) else { return Vec::new() };
    if matches!(field.value, DeValue::Table(_)) {
        let message = format!("`{name}` can be given many times");
        let problem = report.problem(codes::WRONG_TYPE, field.at, message, "one pair of brackets is missing");
        problem.help(format!("write [[{name}]]"));
        return Vec::new();
    }
    let title = format!("[[{name}]]");
    let items = field.items(report).unwrap_or_default();
    items.into_iter().filter_map(|item| item.table(&title, report)).collect()
}
