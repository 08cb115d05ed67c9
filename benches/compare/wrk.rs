//! wrk: what two threads reach that only send one request again and again and read the answers.

use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use spoolhook::bench::{Cost, start};

use crate::CONNECTIONS;
use crate::clients::parts;

/// Requests per second that wrk surely surpasses: a run lasts as long as these take.
const AT_LEAST_PER_SECOND: u64 = 33_000;

pub fn is_installed() -> bool {
    Command::new("wrk").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Sends `request` for about as long as `requests` take.
pub fn run(sink: SocketAddr, request: &[u8], requests: u64) -> io::Result<Cost> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (headers, body) = parts(request);
    let mut script = format!("wrk.method = \"POST\"\nwrk.body = [==[{}]==]\n", String::from_utf8_lossy(&body));
    for (name, value) in headers {
        script += &format!("wrk.headers[\"{name}\"] = \"{value}\"\n");
    }
    let path = dir.path().join("post.lua");
    std::fs::write(&path, script)?;
    let seconds = requests.div_ceil(AT_LEAST_PER_SECOND);
    let mut command = Command::new("wrk");
    command.args(["-t2", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "-s"]).arg(path);
    command.arg(format!("http://{sink}/hook"));
    start(command, dir.path().join("log"))?.finish()
}
