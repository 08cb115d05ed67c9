//! What `POST /v1/events` asks for.

/// Events to be written into the spool.
#[derive(Clone, PartialEq, Eq)]
pub struct AcceptRequest {
    pub body: Vec<u8>,
    /// One event per line; else the body is one event.
    pub is_lines: bool,
    /// The same request under the same key is carried out once in 24 hours.
    pub key: Option<String>,
}

/// No payload.
impl std::fmt::Debug for AcceptRequest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { body, is_lines, key } = self;
        write!(out, "AcceptRequest {{ {} bytes, is_lines: {is_lines}, key: {key:?} }}", body.len())
    }
}
