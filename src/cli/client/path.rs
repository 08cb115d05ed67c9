//! Paths and queries with everything escaped that needs it.

use url::form_urlencoded::{Serializer, byte_serialize};

/// One segment of a path.
pub fn segment(text: &str) -> String {
    // Form encoding writes a space as `+`, which means itself in a path.
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// `path?name=value&...` of the values that are there.
pub fn query<'a>(path: &str, values: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let mut pairs = Serializer::new(String::new());
    for (name, value) in values {
        if let Some(value) = value {
            pairs.append_pair(name, &value);
        }
    }
    match pairs.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_its_place() {
        assert_eq!(segment("acme/o ms?"), "acme%2Fo%20ms%3F");
        assert_eq!(query("/v1/events", [("after", None)]), "/v1/events");
        assert_eq!(query("/x", [("a", Some("1&2".into())), ("b", Some("+".into()))]), "/x?a=1%262&b=%2B");
    }
}
