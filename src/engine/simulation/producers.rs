//! Producers of every kind: the engine's own helper, scripts that append, programs that keep their file open, writers that die
//! in the middle of a line.

use std::path::Path;
use std::sync::Arc;

use super::files::SimFiles;
use super::judge::Line;
use super::machine::spool;
use super::world::World;
use crate::env::{AppendFile, Files};
use crate::ingest::Producer;

impl World {
    pub fn produce(&mut self, random: &mut fastrand::Rng) {
        for _ in 0..random.u32(1..=self.ground.setting.burst) {
            self.written += 1;
            let id = format!("e{}", self.written);
            let event_type = ["order.created", "bill.paid", "note.updated"][random.usize(..3)];
            let is_event = random.u8(..) > 20;
            let text = if is_event {
                format!(
                    r#"{{"type":"{event_type}","id":"{id}","key":"k{}","data":{{"n":1e{}}}}}"#,
                    self.written % 3,
                    self.written
                )
            } else {
                format!(r#"{{"bad":"{id}-""#)
            };
            let result = self.write(&id, &text, is_event, random);
            let synced = matches!(result, Ok(true));
            let sure = result.is_ok();
            self.judge
                .lines
                .insert(id, Line { text, is_event, synced, sure, taken: 0, position: None, seq: 0, takers: 0 });
        }
    }

    /// Writes one line as one of the kinds of producers; tells whether the producer knows it to be durable.
    fn write(&mut self, id: &str, text: &str, is_event: bool, random: &mut fastrand::Rng) -> std::io::Result<bool> {
        let files = self.producer_files.clone();
        let inbox = spool().join("in");
        let style = random.u8(..6);
        if is_event && style < 3 {
            let producer = Producer::new(Arc::new(files), &spool(), 1 << 20);
            let durable = random.bool();
            let written = match style {
                0 => producer.drop_file(id, &[text.as_bytes()]).map(|_| true),
                _ => producer.append("app", text.as_bytes(), durable).map(|_| durable),
            };
            return written.map_err(std::io::Error::other);
        }
        let name = if style == 5 { "long" } else { "raw" };
        if random.u8(..) < 10 {
            // A writer that died in the middle of a line.
            let torn = &text.as_bytes()[..text.len() / 2];
            self.torn.insert("raw");
            let _ = append(&files, &inbox, torn);
        }
        let lead = if self.torn.remove(name) { "\n" } else { "" };
        let line = format!("{lead}{text}\n");
        let written = if name == "long" {
            let again = random.u8(..) < 30;
            self.write_on(&files, &inbox, again, line.as_bytes())
        } else {
            append(&files, &inbox, line.as_bytes())
        };
        if written.is_err() {
            self.torn.insert(name);
        }
        written.map(|()| false)
    }

    /// The producer that keeps its file open writes on; at times it opens it `again`.
    fn write_on(&mut self, files: &SimFiles, inbox: &Path, again: bool, bytes: &[u8]) -> std::io::Result<()> {
        const NAME: &str = "long";
        if again || !self.writers.contains_key(NAME) {
            self.writers.insert(NAME, open(files, &inbox.join("long.ndjson"))?);
        }
        self.writers.get_mut(NAME).expect("just opened").append(bytes)
    }
}

fn open(files: &SimFiles, path: &Path) -> std::io::Result<Box<dyn AppendFile>> {
    match files.append_to(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => files.create(path),
        other => other,
    }
}

fn append(files: &SimFiles, inbox: &Path, bytes: &[u8]) -> std::io::Result<()> {
    open(files, &inbox.join("raw.ndjson"))?.append(bytes)
}
