//! `check` on wrong configurations: the place, the caret, the hint, all of it in one pass, and 78.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::usage::support::Home;

/// A subscription that is right but for `line`, which replaces what it names.
fn sub(lines: &str) -> String {
    let mut text = "[[subscription]]\nname = \"a\"\n".to_owned();
    for (key, line) in [
        ("url", "url = \"https://a.example/\"\n"),
        ("dialect", "dialect = \"cloudevents\"\n"),
        ("events", "events = [\"**\"]\n"),
    ] {
        if !lines.lines().any(|given| given.starts_with(key)) {
            text.push_str(line);
        }
    }
    text + lines + "\n"
}

#[test]
fn every_mistake_is_named_with_its_place_and_what_to_do() {
    let umbra = "dialect = \"umbra\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";
    let clarus =
        "dialect = \"clarus\"\n[subscription.params]\ndomain = \"a.example\"\nautomation_id = 1\nautomaton = 2";
    let cases: &[(String, &[&str])] = &[
        (
            "[spool]\ndirr = \"spool\"".into(),
            &["unknown key `dirr` in [spool]", "did you mean `dir`?", "config.toml:2:1"],
        ),
        ("[delivery]\ntimeout = 15".into(), &["`timeout`", "\"15s\"", "config.toml:2:11"]),
        ("[delivery]\ntimeout = \"15 parsecs\"".into(), &["`timeout`", "15 parsecs"]),
        ("[delivery]\nretry = \"carriyo-standart\"".into(), &["did you mean \"carriyo-standard\"?"]),
        ("[delivery]\nretry = [\"5s\", 7]".into(), &["config.toml:2:16"]),
        ("[delivery]\nmode = \"at_least_once\"".into(), &["did you mean \"at-least-once\"?"]),
        ("[delivery]\nmax_in_flight = 0".into(), &["`max_in_flight`"]),
        ("[spool]\nmax_line = \"1 elephant\"".into(), &["`max_line`", "1 elephant"]),
        ("[spool\ndir = \"spool\"".into(), &["error[E000]", "config.toml:1:"]),
        ("[network]\nallow = [\"10.0.0.0/99\"]".into(), &["10.0.0.0/99"]),
        (sub("url = \"not a url\""), &["config.toml:5:", "`url` holds a character"]),
        (sub("url = \"ftp://a.example/\""), &["http"]),
        (sub("events = [\"invoice..*\"]"), &["this is not an event pattern"]),
        (sub("events = [\"invoice.p*id\"]"), &["this is not an event pattern"]),
        (sub("events = []"), &["lists nothing"]),
        (sub("table = \"a\"\noperations = [\"insert\"]"), &["`events` and `table` exclude each other"]),
        (sub("where = 'data.total >'"), &["`where` is not a condition"]),
        (sub("where = 'sizee(data) > 1'"), &["did you mean `size`"]),
        (sub("dialect = \"umbar\""), &["did you mean \"umbra\"?"]),
        (sub("dialect = \"umbra\""), &["signs every request, and there is no secret"]),
        (sub("dialect = \"umbra\"\nsecret_file = \"missing.key\""), &["missing.key"]),
        (sub(&format!("{umbra}url = \"http://a.example/\"")), &["url must use https", "`allow_http = true`"]),
        (sub(clarus), &["automaton"]),
        (sub("dialect = \"clarus\""), &["domain"]),
        (sub("rate_limit = \"fast\""), &["is not a rate"]),
        (sub("start = \"yesterday\""), &["`start` cannot be"]),
        (sub("active = \"yes\""), &["`active`"]),
        (sub("order_by = \"data.id\""), &["neither \"key\" nor a JSON pointer"]),
        (sub("supersede = true"), &["`supersede` needs `order_by`"]),
        (sub("headers = { Host = \"a\" }"), &["Host"]),
        (sub("tls = { ca_file = \"none.pem\" }"), &["none.pem"]),
        ("[[subscription]]\nname = \"a\"\nevents = [\"**\"]".into(), &["subscription is missing `url`"]),
        ("[[subscription]]\nurl = \"https://a.example/\"".into(), &["subscription is missing `name`"]),
        ("[subscription]\nname = \"a\"".into(), &["write [[subscription]]"]),
    ];
    let home = Home::empty();
    for (text, wanted) in cases {
        home.write("config.toml", text);
        let said = home.run(&["check"]).expect(78);
        for want in *wanted {
            assert!(said.out.contains(want), "{text}\nlacks {want:?}:\n{}", said.out);
        }
        assert!(said.out.contains("--> config.toml:") && said.out.contains('^'), "{}", said.out);
        let problems = home.run(&["check", "--json"]).expect(78).json()["errors"].as_array().unwrap().clone();
        assert!(!problems.is_empty());
        for problem in problems {
            assert!(problem["line"].as_u64() > Some(0) && problem["column"].as_u64() > Some(0), "{problem}");
            assert!(problem["code"].as_str().is_some_and(|code| code.starts_with('E')), "{problem}");
        }
        // What cannot be run is not run, and says the same.
        assert!(home.run(&["run", "--until-idle"]).expect(78).err.contains(wanted[0]), "{text}");
    }
}

#[test]
fn all_mistakes_come_in_one_pass_from_every_file() {
    let home = Home::empty();
    home.write("config.toml", format!("[spool]\ndirr = \"x\"\n{}", sub("rate_limit = \"fast\"\nactive = \"yes\"")));
    home.write("conf.d/10.toml", "[delivery]\ntimeout = 15\n");
    home.write("conf.d/20.toml", "[delivery\n");
    let said = home.run(&["check"]).expect(78).out;
    for place in ["config.toml:2:1", "config.toml:8:", "config.toml:9:", "conf.d/10.toml:2:11", "conf.d/20.toml:1:"] {
        assert!(said.contains(place), "no {place}:\n{said}");
    }
    assert!(said.ends_with("config.toml: 5 errors\n"), "{said}");
}

#[test]
fn names_given_twice_point_at_both() {
    let home = Home::empty();
    home.write("config.toml", sub(""));
    home.write("conf.d/more.toml", sub(""));
    let said = home.run(&["check"]).expect(78).out;
    assert!(said.contains("config.toml:2:8") && said.contains("conf.d/more.toml:2:8"), "{said}");
    home.write("conf.d/more.toml", sub("tenant = \"acme\""));
    let said = home.run(&["check"]).expect(0).out;
    assert_eq!(said, "ok    config.toml + 1 file in conf.d   2 subscriptions\n");
}

#[test]
fn umbra_takes_ten() {
    let home = Home::empty();
    let many = |count: usize| -> String {
        let more = "dialect = \"umbra\"\nsecret = \"0123456789abcdef0123456789abcdef\"";
        (0..count).map(|index| sub(more).replace("\"a\"", &format!("\"a{index}\""))).collect()
    };
    home.write("config.toml", many(10));
    home.run(&["check"]).expect(0);
    home.write("config.toml", many(11));
    let said = home.run(&["check"]).expect(78).out;
    assert!(said.contains("11") && said.contains("10"), "{said}");
}

#[test]
fn a_type_that_umbra_does_not_list_is_a_warning_with_a_guess() {
    let home = Home::empty();
    let umbra = "dialect = \"umbra\"\nsecret = \"0123456789abcdef0123456789abcdef\"\nevents = [\"invoice.payed\"]";
    home.write("config.toml", sub(umbra));
    let said = home.run(&["check"]).expect(0).out;
    assert!(said.contains("warning[W001]") && said.contains("did you mean"), "{said}");
    assert!(said.contains("ok    config.toml"), "{said}");
    home.run(&["check", "--deny-warnings"]).expect(78);
    let json = home.run(&["check", "--json"]).expect(0).json();
    assert_eq!((&json["errors"], json["warnings"].as_array().unwrap().len()), (&json!([]), 1));
}

#[test]
fn secrets_are_not_shown_and_their_files_are_looked_at() {
    let home = Home::empty();
    let key = home.write("a.key", "0123456789abcdef0123456789abcdef\n");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    home.write("config.toml", sub("dialect = \"umbra\"\nsecret_file = \"a.key\""));
    assert!(home.run(&["check"]).expect(0).out.contains("warning[W002]"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!home.run(&["check"]).expect(0).out.contains("warning"));
    home.write("a.key", "");
    assert!(home.run(&["check"]).expect(78).out.contains("a.key"));
    home.write("config.toml", sub("dialect = \"umbra\"\nsecret = \"hush-hush\"\nsecret = \"hush-hush\""));
    let said = home.run(&["check"]).expect(78).all();
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn a_file_that_is_not_there() {
    let home = Home::empty();
    assert!(home.run(&["check", "nowhere.toml"]).expect(78).out.contains("nowhere.toml"));
    home.run(&["check"]).expect(78);
    home.run(&["-c", "nowhere.toml", "run"]).expect(78);
}

#[test]
fn the_effective_configuration_is_shown_without_secrets() {
    let home = Home::empty();
    let more = "dialect = \"umbra\"\nsecret = \"canary-1\"\nheaders = { X-Key = \"canary-2\" }\nrate_limit = \"50/s\"\n\
                oauth2 = { token_url = \"https://id.example/canary-3\", client_id = \"me\", client_secret = \"canary-4\" }";
    home.write("config.toml", sub(more).replace("a.example/", "a.example/canary-5"));
    let said = home.run(&["check", "--show"]).expect(0).out;
    for part in ["[spool]", "max_line = \"1MiB\"", "workers = 64", "# config.toml:", "timeout = \"15s\"", "*** (key "] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("canary"), "{said}");
    assert!(said.parse::<toml::Table>().is_ok(), "{said}");
    let json = home.run(&["check", "--show", "--json"]).expect(0).json();
    assert_eq!(
        (&json["delivery"]["max_in_flight"], &json["subscription"][0]["rate_limit"]),
        (&16.into(), &"50/1s".into())
    );
    assert!(!json.to_string().contains("canary"), "{json}");
    home.write("config.toml", "nonsense");
    assert!(home.run(&["check", "--show"]).expect(78).out.contains("error["));
}
