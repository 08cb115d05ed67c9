//! JSON pointers into JSON text (RFC 6901): which bytes are the value? Nothing is parsed into numbers or maps, so what
//! comes out is what the producer wrote. The text was judged to be JSON when the event came in; on anything else the
//! answer is `None`, never a panic.

/// A pointer's reference tokens with `~0` and `~1` decoded; none of them is the whole value.
pub(in crate::wire) type Tokens = Vec<String>;

/// Reads the text of a pointer: empty, or `/` before each token.
pub(in crate::wire) fn parse(text: &str) -> Option<Tokens> {
    if text.is_empty() {
        return Some(Tokens::new());
    }
    text.strip_prefix('/')?.split('/').map(unescape).collect()
}

fn unescape(token: &str) -> Option<String> {
    let mut parts = token.split('~');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push(match part.as_bytes().first()? {
            b'0' => '~',
            b'1' => '/',
            _ => return None,
        });
        plain.push_str(&part[1..]);
    }
    Some(plain)
}

/// The value at `tokens`, without the white space around it. Of two members with one name the last counts, as in most
/// parsers.
pub(in crate::wire) fn find<'a>(json: &'a [u8], tokens: &[String]) -> Option<&'a [u8]> {
    let mut at = skip_space(json, 0);
    let mut end = value_end(json, at)?;
    for token in tokens {
        (at, end) = match json[at] {
            b'{' => member(json, at, token)?,
            b'[' => element(json, at, token)?,
            _ => return None,
        };
    }
    Some(&json[at..end])
}

fn member(json: &[u8], open: usize, name: &str) -> Option<(usize, usize)> {
    let mut found = None;
    let mut at = skip_space(json, open + 1);
    while *json.get(at)? == b'"' {
        let key_end = string_end(json, at)?;
        let same = is_name(&json[at..key_end], name);
        let colon = skip_space(json, key_end);
        if *json.get(colon)? != b':' {
            return None;
        }
        let start = skip_space(json, colon + 1);
        let end = value_end(json, start)?;
        if same {
            found = Some((start, end));
        }
        at = skip_space(json, end);
        if *json.get(at)? == b',' {
            at = skip_space(json, at + 1);
        }
    }
    found
}

fn is_name(quoted: &[u8], name: &str) -> bool {
    let inner = &quoted[1..quoted.len() - 1];
    if memchr::memchr(b'\\', inner).is_none() {
        return inner == name.as_bytes();
    }
    serde_json::from_slice::<String>(quoted).is_ok_and(|decoded| decoded == name)
}

fn element(json: &[u8], open: usize, token: &str) -> Option<(usize, usize)> {
    if token.len() > 1 && token.starts_with('0') || !token.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut left: usize = token.parse().ok()?;
    let mut at = skip_space(json, open + 1);
    while *json.get(at)? != b']' {
        let end = value_end(json, at)?;
        if left == 0 {
            return Some((at, end));
        }
        left -= 1;
        at = skip_space(json, end);
        if *json.get(at)? == b',' {
            at = skip_space(json, at + 1);
        }
    }
    None
}

fn skip_space(json: &[u8], mut at: usize) -> usize {
    while matches!(json.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The byte after the string that starts at `at`.
fn string_end(json: &[u8], mut at: usize) -> Option<usize> {
    at += 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The byte after the value that starts at `at`. Containers are skipped by depth, so nesting costs no stack.
fn value_end(json: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match *json.get(at)? {
            b'"' => at = string_end(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth > 0 => at += 1,
            _ => {
                let rest = &json[at..];
                let length = rest.iter().position(|byte| b",:]} \t\n\r\"".contains(byte)).unwrap_or(rest.len());
                if length == 0 {
                    return None;
                }
                at += length;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn check(json: &str, pointer: &str, expected: Option<&str>) {
        let tokens = parse(pointer).unwrap();
        assert_eq!(find(json.as_bytes(), &tokens), expected.map(str::as_bytes), "{json} {pointer}");
    }

    #[test]
    fn finds_the_bytes_as_written() {
        check(r#"{"a": {"b" :[1, 1e400 ,"x\"]"]}}"#, "/a/b/1", Some("1e400"));
        check(r#"{"a": {"b" :[1, 1e400 ,"x\"]"]}}"#, "/a/b", Some(r#"[1, 1e400 ,"x\"]"]"#));
        check(r#"{"a":1,"a":2}"#, "/a", Some("2"));
        check(r#"{"a/b":1,"m~n":2,"caf\u00e9":3}"#, "/a~1b", Some("1"));
        check(r#"{"a/b":1,"m~n":2,"caf\u00e9":3}"#, "/m~0n", Some("2"));
        check(r#"{"a/b":1,"m~n":2,"caf\u00e9":3}"#, "/café", Some("3"));
        check(" [ ] ", "", Some("[ ]"));
        check("[10,20]", "/01", None);
        check("[10,20]", "/2", None);
        check("{}", "/a", None);
        check("7", "/a", None);
    }

    #[test]
    fn pointers_are_read_strictly() {
        assert_eq!(parse("a"), None);
        assert_eq!(parse("/a~2"), None);
        assert_eq!(parse("/"), Some(vec![String::new()]));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a~/\"\\\\é]{0,2}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_parser(value in json(), pointer in "(/([a~é]{0,2}|~0|~1|[0-4])){0,3}") {
            let Some(tokens) = parse(&pointer) else { return Ok(()) };
            let expected = value.pointer(&pointer);
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let found = find(text.as_bytes(), &tokens).map(|raw| serde_json::from_slice::<Value>(raw).unwrap());
                prop_assert_eq!(found.as_ref(), expected);
            }
        }

        #[test]
        fn never_panics(bytes in "[\\[\\]{}:,\"\\\\ a1]{0,24}", pointer in "(/[a01]){0,3}") {
            let _ = find(bytes.as_bytes(), &parse(&pointer).unwrap());
        }
    }
}
