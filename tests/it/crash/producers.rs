//! Seven ways in which programs really write events, each a process of its own that writes the numbers it is told:
//! a line `FROM TO` on its standard input is one piece of work, the end of the input is the end of the process.

use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::support::wait_until;

/// How a style writes, as a script that gets the spool's `in/` and `tmp/` and the log's directory as arguments.
struct Style {
    name: &'static str,
    program: &'static str,
    script: &'static str,
    /// Events of this style in a hundred thousand.
    share: usize,
}

/// The three shells share a file, as services of one machine do.
const STYLES: [Style; 7] = [
    Style {
        name: "bash-echo",
        program: "bash",
        script: r#"while read -r from to; do for ((n = from; n <= to; n++)); do
echo "{\"type\":\"crash.tested\",\"id\":\"bash-echo-$n\",\"data\":{\"event\":\"bash-echo-$n\",\"n\":$n}}" >> "$1/shell.ndjson"
done; done"#,
        share: 16_500,
    },
    Style {
        name: "bash-printf",
        program: "bash",
        script: r#"while read -r from to; do for ((n = from; n <= to; n++)); do
printf '\n%s\n' "{\"type\":\"crash.tested\",\"id\":\"bash-printf-$n\",\"data\":{\"event\":\"bash-printf-$n\",\"n\":$n}}" >> "$1/shell.ndjson"
done; done"#,
        share: 16_500,
    },
    Style {
        name: "dash-echo",
        program: "dash",
        script: r#"while read -r from to; do n=$from; while [ "$n" -le "$to" ]; do
echo "{\"type\":\"crash.tested\",\"data\":{\"event\":\"dash-echo-$n\",\"n\":$n}}" >> "$1/shell.ndjson"
n=$((n + 1)); done; done"#,
        share: 16_500,
    },
    Style {
        name: "python-held",
        program: "python3",
        script: r#"
import os, sys
out = os.open(sys.argv[1] + "/held.ndjson", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o660)
for work in sys.stdin:
    first, last = map(int, work.split())
    for n in range(first, last + 1):
        line = '{"type":"crash.tested","id":"python-held-%d","data":{"event":"python-held-%d","n":%d}}\n' % (n, n, n)
        assert os.write(out, line.encode()) == len(line)
"#,
        share: 16_500,
    },
    Style {
        name: "python-large",
        program: "python3",
        script: r#"
import os, sys
for work in sys.stdin:
    first, last = map(int, work.split())
    for n in range(first, last + 1):
        fill = chr(97 + n % 26) * (300_000 + n)
        line = '{"type":"crash.tested","id":"python-large-%d","data":{"event":"python-large-%d","fill":"%s"}}\n' % (n, n, fill)
        out = os.open(sys.argv[1] + "/large.ndjson", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o660)
        assert os.write(out, line.encode()) == len(line)
        os.close(out)
"#,
        share: 1_000,
    },
    Style {
        name: "dropped",
        program: "dash",
        script: r#"while read -r from to; do n=$from; file="drop-$from.ndjson"; while [ "$n" -le "$to" ]; do
[ "$n" -eq "$from" ] || echo >> "$2/$file"
printf '%s' "{\"type\":\"crash.tested\",\"id\":\"dropped-$n\",\"data\":{\"event\":\"dropped-$n\",\"n\":$n}}" >> "$2/$file"
n=$((n + 1)); done; mv "$2/$file" "$1/$file"; done"#,
        share: 16_500,
    },
    Style {
        name: "log",
        program: "python3",
        script: r#"
import os, sys
path, lines, turn = sys.argv[3] + "/app.ndjson", 0, 0
for work in sys.stdin:
    first, last = map(int, work.split())
    for n in range(first, last + 1):
        if lines == 300:
            turn, lines = turn + 1, 0
            os.rename(path, sys.argv[3] + "/app-%06d.ndjson" % turn)
        with open(path, "a") as out:
            out.write('{"type":"crash.tested","id":"log-%d","data":{"event":"log-%d","n":%d}}\n' % (n, n, n))
        lines += 1
"#,
        share: 16_500,
    },
];

/// A running producer.
struct Producer {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    total: usize,
    told: usize,
}

/// All of them.
pub struct Producers(Vec<Producer>);

impl Producers {
    /// Starts one of each style, to write about `events` in all.
    pub fn start(events: usize, spool: &Path, log: &Path) -> Self {
        let start = |style: &Style| {
            let mut command = Command::new(style.program);
            command.args(["-c", style.script]);
            if style.program != "python3" {
                command.arg(style.name);
            }
            let dirs = [spool.join("in"), spool.join("tmp"), log.to_owned()];
            let mut child = command.args(dirs).stdin(Stdio::piped()).spawn().unwrap_or_else(|error| {
                panic!("this test needs {}: {error}", style.program);
            });
            let input = child.stdin.take().expect("the input is a pipe");
            Producer { name: style.name, child, input, total: (events * style.share / 100_000).max(1), told: 0 }
        };
        Self(STYLES.iter().map(start).collect())
    }

    /// Every event that will have been written in the end, as its `"event"` says.
    pub fn events(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|producer| (1..=producer.total).map(|n| format!("{}-{n}", producer.name)))
    }

    /// Tells each to write its events up to `part` of `parts`. Returns the number of events ordered so far.
    pub fn order(&mut self, part: usize, parts: usize) -> usize {
        for producer in &mut self.0 {
            let upto = producer.total * part / parts;
            if upto > producer.told {
                writeln!(producer.input, "{} {upto}", producer.told + 1).expect("the producer reads its orders");
                producer.told = upto;
            }
        }
        self.0.iter().map(|producer| producer.told).sum()
    }

    /// Lets them end.
    pub fn finish(self) {
        for Producer { name, mut child, input, .. } in self.0 {
            drop(input);
            let mut exit = None;
            wait_until(Duration::from_secs(60), || {
                exit = child.try_wait().expect("ask for the producer's exit");
                exit.is_some()
            });
            assert!(exit.is_some_and(|exit| exit.success()), "the producer {name} ended with {exit:?}");
        }
    }
}
