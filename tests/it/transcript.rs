//! `docs/transcript.md` is what the program prints: its commands are run in order, and what they print is compared. After a
//! change that is meant, `SPOOLHOOK_WRITE_TRANSCRIPT=1 cargo test --test it transcript` writes it anew.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use spoolhook::receiver::{Options, Receiver};

use crate::support::BINARY;
use crate::usage::support::{Home, until};

const FENCE: &str = "```console";

/// What differs from run to run, in a form that does not.
struct Plain {
    home: String,
    addr: String,
}

impl Plain {
    fn of(home: &Path, addr: SocketAddr) -> Self {
        Self { home: home.display().to_string(), addr: addr.to_string() }
    }

    fn text(&self, text: &str) -> String {
        let text = text.replace(&self.home, "/srv/hooks").replace(&self.addr, "127.0.0.1:9000");
        let lines: Vec<String> = text.lines().map(|line| words(line).trim_end().to_owned()).collect();
        lines.join("\n")
    }
}

/// The line with instants, identities and measured numbers replaced.
fn words(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-:.".contains(c))).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        out.push_str(&word_of(word, tail, &out));
        rest = tail;
    }
    out + rest
}

fn word_of(word: &str, tail: &str, before: &str) -> String {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    let is_hex = |part: &str| part.chars().all(|c| c.is_ascii_hexdigit());
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    if lengths == [8, 4, 4, 4, 12] && word.split('-').all(is_hex) {
        return "0199e3c1-7d2a-8c11-9f2e-1b0d5a3f6c21".to_owned();
    }
    if word.len() >= 26 && word[..26].bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
        return format!("01KKGMZ7G00000000000000000{}", &word[26..]);
    }
    match shape.as_str() {
        "9999-99-99T99:99:99.999Z" => "2026-03-12T10:00:00.000Z".to_owned(),
        "9999-99-99" => "2026-03-12".to_owned(),
        "99:99:99" => "10:00:00".to_owned(),
        "99:99:99.999" => "10:00:00.000".to_owned(),
        _ if before.ends_with("pid ") => "4711".to_owned(),
        // How long the journal is depends on what was committed together.
        _ if before.ends_with(" files (") => "860".to_owned(),
        _ if shape.chars().all(|c| c == '9') && [" ms", " s"].iter().any(|unit| is_unit(tail, unit)) => "5".to_owned(),
        _ => word.to_owned(),
    }
}

fn is_unit(tail: &str, unit: &str) -> bool {
    tail.strip_prefix(unit).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
}

/// Measured lengths also move what stands beside them: spaces count as one, and a moment is `now` or a while ago.
fn comparable(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines
        .map(|line| line.replace("5 ms", "5 s").replace("860 KiB", "860 B").replace("5 s ago", "now"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn run(home: &Path, command: &str) -> String {
    let bin = Path::new(BINARY).parent().unwrap().display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{{ {command}\n}} 2>&1")]).current_dir(home).env("PATH", path).env("TZ", "UTC");
    for name in ["SPOOLHOOK_CONFIG", "SPOOLHOOK_SOCKET", "SPOOLHOOK_LOG", "JOURNAL_STREAM"] {
        shell.env_remove(name);
    }
    let output = shell.output().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    if let Some(code @ 1..) = output.status.code() {
        text.push_str(&format!("(exit {code})\n"));
    }
    text
}

#[test]
fn the_transcript_is_what_the_program_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/transcript.md");
    let written = std::fs::read_to_string(&path).unwrap();
    // One refusal, then everything is taken.
    let options = Options { statuses: vec![200, 503, 200], ..Options::default() };
    let target = Receiver::start(([127, 0, 0, 1], 0).into(), options).unwrap();
    let home = Home::new(&format!(
        "\n[[subscription]]\nname = \"erp\"\nurl = \"http://{}/erp\"\ndialect = \"standard\"\nevents = [\"invoice.*\"]\n\
         where = \"data.total > 10.0\"\nsecret_file = \"erp.key\"\nretry = \"none\"\n",
        target.addr()
    ));
    let key = home.write("erp.key", "whsec_c3Bvb2xob29rLWRlbW8tc2VjcmV0LTAx\n");
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut engine = home.engine();
    let root = home.path("");
    let root = root.as_path();
    let plain = Plain::of(root, target.addr());
    until("it is ready", || home.run(&["status"]).code == 0);

    let mut fresh = String::new();
    let mut blocks = written.split(FENCE);
    fresh.push_str(blocks.next().unwrap());
    for block in blocks {
        let (code, after) = block.split_once("```").unwrap();
        fresh.push_str(FENCE);
        fresh.push('\n');
        for command in code.lines().filter_map(|line| line.strip_prefix("$ ")) {
            let said = plain.text(&run(root, command));
            fresh.push_str(&format!("$ {command}\n"));
            if !said.is_empty() {
                fresh.push_str(&format!("{said}\n"));
            }
        }
        fresh.push_str("```");
        fresh.push_str(after);
    }
    assert_eq!(engine.stop(), Some(0));
    if std::env::var_os("SPOOLHOOK_WRITE_TRANSCRIPT").is_some() {
        std::fs::write(&path, &fresh).unwrap();
        return;
    }
    let (expected, found) = (comparable(&written), comparable(&fresh));
    for (expected, found) in expected.lines().zip(found.lines()) {
        assert_eq!(found, expected, "\nwhat is printed now:\n{fresh}");
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{fresh}");
}
