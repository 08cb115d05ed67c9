//! syslog-ng: the strongest tool found that brings the lines of a file to an HTTP server and survives a restart: file source,
//! disk buffer, one request per line. It keeps its place in the file, retries, and signs nothing.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use spoolhook::bench::{Cost, pause, start};

use crate::CONNECTIONS;
use crate::clients::parts;
use crate::support::sink::Sink;

const PROGRAM: &str = "syslog-ng";
/// Looks at the sink's count, 10 ms apart, before it counts as stuck.
const LOOKS_MAX: u32 = 12_000;

pub fn is_installed() -> bool {
    Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Brings `requests` lines, each the body of `request`, to the sink with the same headers.
pub fn run(sink: &Sink, request: &[u8], requests: u64) -> io::Result<Cost> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let at = |name: &str| dir.path().join(name);
    let (headers, body) = parts(request);
    let line = [&body[..], b"\n"].concat();
    fs::write(at("events"), line.repeat(usize::try_from(requests).map_err(io::Error::other)?))?;
    let headers = headers.iter().fold(String::new(), |mut list, (name, value)| {
        let _ = write!(list, "\"{name}: {value}\", ");
        list
    });
    let (home, address) = (dir.path().display(), sink.address);
    let config = format!(
        r#"@version: 3.35
options {{ threaded(yes); stats-freq(0); log-msg-size(262144); }};
source lines {{ file("{home}/events" flags(no-parse) follow-freq(0.1) log-iw-size(20000) log-fetch-limit(1000)); }};
destination hook {{
  http(url("http://{address}/hook") method("POST") body("$MSG") headers({headers}) workers({CONNECTIONS})
    log-fifo-size(40000)
    disk-buffer(reliable(no) disk-buf-size(1073741824) mem-buf-length(20000) dir("{home}")));
}};
log {{ source(lines); destination(hook); flags(flow-control); }};
"#,
        headers = headers.trim_end_matches(", ")
    );
    fs::write(at("syslog-ng.conf"), config)?;
    let mut command = Command::new(PROGRAM);
    command.args(["--foreground", "--no-caps", "--cfgfile"]).arg(at("syslog-ng.conf"));
    command
        .arg("--persist-file")
        .arg(at("persist"))
        .arg("--pidfile")
        .arg(at("pid"))
        .arg("--control")
        .arg(at("control"));
    let running = start(command, at("log"))?;
    for _ in 0..LOOKS_MAX {
        if sink.stats()?.0 >= requests {
            return running.stop();
        }
        pause(Duration::from_millis(10));
    }
    let _ = running.stop();
    Err(io::Error::other(format!("syslog-ng is stuck: {}", fs::read_to_string(at("log"))?)))
}
