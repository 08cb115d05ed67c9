//! Secrets, certificates and fragments in real files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::{Loaded, Problems, diff, load};

/// A directory with files in it.
fn dir(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        put(dir.path(), name, text);
    }
    dir
}

fn put(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn main_of(dir: &TempDir) -> PathBuf {
    dir.path().join("config.toml")
}

fn outcome(dir: &TempDir) -> Result<Loaded, Problems> {
    load(&main_of(dir))
}

/// The text of the problems, without the name of the temporary directory.
fn complaint(dir: &TempDir) -> String {
    outcome(dir).unwrap_err().to_string().replace(&format!("{}/", dir.path().display()), "")
}

fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["erp.lan".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

const SUB: &str = "[[subscription]]\nurl = \"https://a.example/\"\nevents = [\"**\"]\n";

#[test]
fn fragments_add_up_in_name_order() {
    let dir = dir(&[
        ("config.toml", "[spool]\ndir = \"spool\"\n"),
        ("conf.d/20-b.toml", &format!("{SUB}name = \"b\"\ndialect = \"carriyo\"\n[spool]\nmax_line = \"2MiB\"\n")),
        (
            "conf.d/10-a.toml",
            &format!("{SUB}name = \"a\"\nsecret_file = \"a.key\"\ndialect = \"umbra\"\n[[log]]\ndir = \"x\"\n"),
        ),
        ("conf.d/a.key", "0123456789abcdef01234567\n"),
        ("conf.d/.hidden.toml", "not toml"),
        ("conf.d/notes.txt", "not toml"),
    ]);
    let config = outcome(&dir).unwrap_or_else(|problems| panic!("{problems}")).config;
    let names = config.subscriptions.iter().map(|each| each.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(config.subscriptions[0].secrets[0].expose(), "0123456789abcdef01234567");
    assert_eq!((config.spool.max_line, config.spool.dir), (2 << 20, dir.path().join("spool")));
    assert_eq!(config.logs[0].dir, dir.path().join("conf.d/x"));
    let expected = ["conf.d", "conf.d/10-a.toml", "conf.d/20-b.toml", "conf.d/a.key", "config.toml"];
    assert_eq!(config.files, expected.map(|name| dir.path().join(name)));
}

#[test]
fn a_setting_given_in_two_files_names_both() {
    let dir =
        dir(&[("config.toml", "[spool]\ndir = \"spool\"\n"), ("conf.d/a.toml", "\n\n[spool]\ndir = \"other\"\n")]);
    assert_eq!(
        complaint(&dir),
        r#"error[E006]: `dir` in [spool] is given twice
  --> conf.d/a.toml:4:1
   |
 4 | dir = "other"
   | ^^^ given again
  ::: config.toml:2:1
 2 | dir = "spool"
   | --- given first
   = help: keep one of them: only arrays of tables, such as [[subscription]], add up over conf.d

config.toml: 1 error, nothing was loaded"#
    );
}

#[test]
fn one_name_in_two_files_names_both() {
    let sub = format!("{SUB}name = \"a\"\ndialect = \"carriyo\"\n");
    let dir = dir(&[("config.toml", &sub), ("conf.d/a.toml", &sub)]);
    let text = complaint(&dir);
    assert!(text.contains("conf.d/a.toml:4:8") && text.contains("::: config.toml:4:8"), "{text}");
}

#[test]
fn problems_of_every_file_come_in_one_pass() {
    let dir = dir(&[("config.toml", "[spol]\n"), ("conf.d/a.toml", "x = \n"), ("conf.d/b.toml", "[[log]]\n")]);
    fs::write(dir.path().join("conf.d/c.toml"), [0xff]).unwrap();
    let text = complaint(&dir);
    for place in ["config.toml:1:2", "conf.d/a.toml:1:", "conf.d/b.toml:1:1", "--> conf.d/c.toml\n", "4 errors"] {
        assert!(text.contains(place), "{place}:\n{text}");
    }
}

#[test]
fn a_missing_file_is_one_problem() {
    let dir = dir(&[]);
    assert_eq!(
        complaint(&dir),
        "error[E008]: cannot read the configuration\n  --> config.toml\n   = No such file or directory\n\n\
         config.toml: 1 error, nothing was loaded"
    );
}

#[test]
fn a_secret_file_loses_its_last_newline_only() {
    for (written, read) in [("a b\n", "a b"), ("a b\r\n", "a b"), ("a b\n\n", "a b\n"), ("a b", "a b")] {
        let written = format!("0123456789abcdef{written}");
        let text = format!("{SUB}name = \"a\"\ndialect = \"umbra\"\nsecret_file = [\"k\"]\n");
        let dir = dir(&[("config.toml", &text), ("k", &written)]);
        let config = outcome(&dir).unwrap_or_else(|problems| panic!("{problems}")).config;
        assert_eq!(config.subscriptions[0].secrets[0].expose(), format!("0123456789abcdef{read}"));
    }
}

#[test]
fn a_secret_that_everybody_can_read_warns() {
    let text = format!("{SUB}name = \"a\"\ndialect = \"umbra\"\nsecret_file = \"k\"\n");
    let dir = dir(&[("config.toml", &text), ("k", "0123456789abcdef01234567")]);
    assert_eq!(outcome(&dir).unwrap().warnings, []);
    fs::set_permissions(dir.path().join("k"), fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = outcome(&dir).unwrap().warnings;
    assert_eq!((warnings.len(), warnings[0].code), (1, "W002"));
}

#[test]
fn certificates_are_looked_into() {
    let text = format!(
        "{SUB}name = \"a\"\ndialect = \"carriyo\"\n\
         tls = {{ ca_file = \"ca.pem\", client_cert_file = \"cert.pem\", client_key_file = \"key.pem\" }}\n"
    );
    let (cert, key) = certificate();
    let dir = dir(&[("config.toml", &text), ("ca.pem", &cert), ("cert.pem", &cert), ("key.pem", &key)]);
    let before = outcome(&dir).unwrap_or_else(|problems| panic!("{problems}")).config;
    assert_eq!(before.subscriptions[0].tls.ca_file, Some(dir.path().join("ca.pem")));

    put(dir.path(), "ca.pem", &certificate().0);
    let after = outcome(&dir).unwrap().config;
    assert_eq!(diff(&before, &after).changed.len(), 1, "a new certificate under the old name is a change");

    for (name, content, fault) in [
        ("ca.pem", "nothing here", "no certificate in it"),
        ("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be parsed"),
        ("key.pem", cert.as_str(), "no private key in it"),
    ] {
        put(dir.path(), name, content);
        let text = complaint(&dir);
        assert!(text.contains("E017") && text.contains(fault), "{text}");
    }
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let text = format!("{SUB}name = \"a\"\ndialect = \"umbra\"\nsecret_file = \"/dev/zero\"\n");
    let text = complaint(&dir(&[("config.toml", &text)]));
    assert!(text.contains("not a regular file"), "{text}");
}

#[test]
fn a_token_file_holds_one_word_and_another_one_needs_no_restart() {
    let dir = dir(&[("config.toml", "[admin]\ntoken_file = \"t\"\n"), ("t", "  first-token \n")]);
    let old = load(&main_of(&dir)).unwrap().config;
    assert_eq!(old.admin.token.as_ref().map(|token| token.expose()), Some("first-token"));
    assert!(!format!("{old:?}").contains("first-token"));
    put(dir.path(), "t", "second-token");
    let new = load(&main_of(&dir)).unwrap().config;
    assert_eq!((diff(&old, &new).settings, diff(&old, &new).needs_restart.len()), (vec!["admin.token_file"], 0));
    for bad in ["", "two words", "caf\u{e9}"] {
        put(dir.path(), "t", bad);
        let text = load(&main_of(&dir)).unwrap_err().to_string();
        assert!(text.contains("E016") && text.contains("/dev/urandom") && !text.contains("two words"), "{text}");
    }
}
