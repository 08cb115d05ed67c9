//! Who may import whom. A new arrow is a change to this table, and shows in review.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("metrics", &["model"]),
    ("env", &["model"]),
    ("routing", &["model"]),
    ("wire", &["model"]),
    ("store", &["model", "env"]),
    ("http", &["model", "env", "wire"]),
    ("config", &["model", "env", "routing", "wire"]),
    ("ingest", &["model", "env"]),
    ("producer", &["model", "env", "ingest"]),
    ("dispatch", &["model", "env", "store", "wire", "http"]),
    ("receiver", &["model", "env"]),
    ("admin", &["model", "env", "metrics"]),
    (
        "engine",
        &["model", "env", "routing", "wire", "store", "http", "config", "ingest", "dispatch", "admin", "metrics"],
    ),
    ("bench", &["env"]),
    (
        "cli",
        &[
            "model", "env", "routing", "wire", "http", "config", "ingest", "receiver", "admin", "engine", "store",
            "bench", "producer", "metrics",
        ],
    ),
];

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The rooms that a source text names as `crate::room`.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let rooms: BTreeSet<&str> = MAY_USE.iter().map(|(room, _)| *room).collect();
    let mut named = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => {
                let group = &group[..group.find('}').unwrap_or(group.len())];
                group.split(',').map(|item| item.trim().split("::").next().unwrap_or("")).collect()
            }
            None => vec![rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or("")],
        };
        named.extend(names.into_iter().filter(|name| rooms.contains(name)).map(str::to_owned));
    }
    named
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut read = 0;
    for (room, allowed) in MAY_USE {
        let mut files = Vec::new();
        rust_files(&src.join(room), &mut files);
        for file in files {
            read += 1;
            let text = std::fs::read_to_string(&file).unwrap();
            for used in rooms_named(&text) {
                if used != *room && !allowed.contains(&used.as_str()) {
                    wrong.push(format!("{}: `{room}` may not use `{used}`", file.display()));
                }
            }
        }
    }
    assert!(read > 50, "only {read} files were read");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn only_the_rooms_that_own_them_name_these_crates() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let owners: &[(&str, &[&str])] = &[
        ("sled::", &["store"]),
        ("ureq::", &["http"]),
        ("tokio::", &["admin", "receiver"]),
        ("notify::", &["ingest"]),
    ];
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let room =
            file.strip_prefix(&src).unwrap().components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        for (needle, rooms) in owners {
            let named = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(needle));
            assert!(!named || rooms.contains(&room.as_str()), "{} names {needle}", file.display());
        }
    }
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let text =
        "use crate::model::Event; let x = crate::http::send(); use crate::{store::State, wire}; // crate::nothing";
    let named: Vec<_> = rooms_named(text).into_iter().collect();
    assert_eq!(named, ["http", "model", "store", "wire"]);
}
