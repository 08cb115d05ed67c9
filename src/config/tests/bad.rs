//! What a user sees when something is wrong. `UPDATE_GOLDEN=1` writes the expected texts anew; read the difference.

use std::fs;
use std::path::PathBuf;

use super::super::explain;
use super::complaint;

fn cases() -> Vec<PathBuf> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/tests/bad");
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut paths = paths.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect::<Vec<_>>();
    paths.sort();
    paths
}

#[test]
fn every_wrong_configuration_gets_its_text() {
    let mut wrong = Vec::new();
    for case in cases() {
        let text = complaint(&fs::read_to_string(&case).unwrap()) + "\n";
        let golden = case.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &text).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != text {
            wrong.push(format!("{}:\n{text}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "not the expected text:\n{}", wrong.join("\n"));
    assert!(cases().len() >= 15);
}

#[test]
fn no_text_shows_a_secret() {
    for case in cases() {
        let text = complaint(&fs::read_to_string(&case).unwrap());
        assert!(!text.contains("canary"), "{}:\n{text}", case.display());
    }
}

#[test]
fn every_code_is_explained() {
    for case in cases() {
        let problems = super::load(&fs::read_to_string(&case).unwrap()).unwrap_err();
        for problem in problems.errors.iter().chain(&problems.warnings) {
            assert!(explain(problem.code).is_some(), "{}", problem.code);
        }
    }
    assert_eq!(explain("E999"), None);
}
