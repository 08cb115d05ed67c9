//! The ways events come in: over HTTP, and by the snippets of docs/producers.md.

mod http;
mod snippets;
