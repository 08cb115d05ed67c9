//! Writing events into a spool from a Rust program, whether or not an engine is running.
//!
//! ```
//! use spoolhook::producer::{EventLine, Producer};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # for name in ["in", "tmp"] { std::fs::create_dir(dir.path().join(name)).unwrap(); }
//! # let spool = dir.path();
//! let mut producer = Producer::open(spool)?.named("billing")?.fsync(true);
//! let event = EventLine::new("invoice.paid", r#"{"id":4711,"total":12.50}"#)?.id("inv-4711").key("4711");
//! if let Err(error) = producer.append(event.line()) {
//!     match error.retry_after() {
//!         Some(wait) => eprintln!("not accepted, try the same event again in {wait:?}: {error}"),
//!         None => eprintln!("never accepted as it is: {error}"),
//!     }
//! }
//! # assert!(std::fs::read_to_string(spool.join("in/billing.ndjson")).unwrap().contains("\"total\":12.50"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An event that `append` returned `Ok` for is in the spool, and durable with [`Producer::fsync`]. After an error it does not
//! count as accepted; sending the whole event again is right.

mod append;
/// Its block in Rust is compiled with the tests of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../docs/producers.md")]
mod documented {}
mod line;

pub use crate::ingest::ProduceError;
pub use append::Producer;
pub use line::{EventLine, NotJson};
