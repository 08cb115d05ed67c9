//! A script in `tests/peers` that says whether a request is what its receiver expects.
//!
//! ```text
//! stdin:  {"headers": {"webhook-id": ".."}, "body": "<base64>", "secret": "..."}     names of headers in lower case
//! stdout: {"accepted": true, ..}   or   {"accepted": false, "why": ".."}
//! ```
//! Anything else, and any status but 0, fails the test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use spoolhook::receiver::Received;

use super::process::{finish, succeed};

pub struct Judge {
    program: &'static str,
    script: PathBuf,
}

impl Judge {
    /// A script for Python that imports `package`; `None` where that is missing, unless it must be there.
    pub fn python(script: &str, package: &str) -> Option<Self> {
        Self::find("python3", &["-c", &format!("import {package}")], script)
    }

    /// A script for Node that needs `package`.
    pub fn node(script: &str, package: &str) -> Option<Self> {
        Self::find("node", &["-e", &format!("require('{package}')")], &format!("node/{script}"))
    }

    fn find(program: &'static str, probe: &[&str], script: &str) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
        let mut command = Command::new(program);
        command.args(probe).current_dir(script.parent().unwrap());
        let there =
            Command::new(program).arg("--version").output().is_ok() && finish(&mut command, b"").status.success();
        if there {
            return Some(Self { program, script });
        }
        let missing = format!("`{program} {} \"{}\"` fails: run .ci/install-peers", probe[0], probe[1]);
        assert!(std::env::var("SPOOLHOOK_REQUIRE_PEERS").as_deref() != Ok("1"), "{missing}");
        // Straight to the terminal: the test harness hides what a passing test prints.
        std::io::stderr().write_all(format!("skipped, {missing}\n").as_bytes()).unwrap();
        None
    }

    /// The whole answer.
    pub fn answer(&self, request: &Received, secret: &str) -> Value {
        let headers: Map<String, Value> =
            request.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let asked = json!({"headers": headers, "body": STANDARD.encode(&request.body), "secret": secret});
        let said = succeed(Command::new(self.program).arg(&self.script), asked.to_string().as_bytes());
        serde_json::from_slice(&said).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&said)))
    }

    pub fn accepts(&self, request: &Received, secret: &str) -> bool {
        self.answer(request, secret)["accepted"].as_bool().unwrap()
    }
}

/// The request with one bit of one byte of its body changed: the first digit after `near`.
pub fn tampered(request: &Received, near: &str) -> Received {
    let mut request = request.clone();
    let start = request.body.windows(near.len()).position(|bytes| bytes == near.as_bytes()).unwrap();
    let digit = request.body[start..].iter_mut().find(|byte| byte.is_ascii_digit()).unwrap();
    *digit ^= 1;
    request
}
