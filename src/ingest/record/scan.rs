//! The quick look at an event: one pass over the bytes, no value decoded. It takes only what is plainly in order; of
//! anything else it says nothing, and the parser proper decides and explains. Its grammar is RFC 8259, and what it takes the
//! parser takes too, with the same fields (a property test).

use super::MAX_DEPTH;
use super::envelope::{Envelope, FEW_KEYS};

/// The fields of an object that fills `text`.
pub(super) fn envelope(text: &str) -> Option<Envelope<'_>> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    let mut envelope = Envelope::with_few_keys();
    scan.expect(b'{')?;
    scan.space();
    while !scan.takes(b'}') {
        if envelope.count() > 0 {
            scan.expect(b',')?;
            scan.space();
        }
        let key = scan.plain_key(text)?;
        scan.space();
        scan.expect(b':')?;
        scan.space();
        let start = scan.at;
        scan.value()?;
        envelope.add(key, &text[start..scan.at]);
        scan.space();
    }
    let is_whole = scan.at == text.len() && envelope.count() <= FEW_KEYS && envelope.duplicate_key().is_none();
    is_whole.then_some(envelope)
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.takes(byte).then_some(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn plain_key<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        self.expect(b'"')?;
        let start = self.at;
        self.at = next_special(self.bytes, start)?;
        let end = self.at;
        self.expect(b'"')?;
        Some(&text[start..end])
    }

    /// Passes a value, whatever is in it.
    fn value(&mut self) -> Option<()> {
        // One bit for each open bracket, the innermost lowest: whether it is an object.
        let (mut open, mut depth) = (0u64, 1);
        loop {
            match self.peek()? {
                b'"' => self.string()?,
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    self.space();
                    if !self.takes(bracket + 2) {
                        (open, depth) = (open << 1 | u64::from(bracket == b'{'), depth + 1);
                        if depth > MAX_DEPTH {
                            return None;
                        }
                        if bracket == b'{' {
                            self.member_name()?;
                        }
                        continue;
                    }
                    if depth == MAX_DEPTH {
                        return None;
                    }
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            }
            loop {
                if depth == 1 {
                    return Some(());
                }
                self.space();
                let is_object = open & 1 == 1;
                if self.takes(b',') {
                    self.space();
                    if is_object {
                        self.member_name()?;
                    }
                    break;
                }
                self.expect(if is_object { b'}' } else { b']' })?;
                (open, depth) = (open >> 1, depth - 1);
            }
        }
    }

    fn member_name(&mut self) -> Option<()> {
        self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            self.at = next_special(self.bytes, self.at)?;
            if self.takes(b'"') {
                return Some(());
            }
            self.expect(b'\\')?;
            let escaped = self.peek()?;
            self.at += 1;
            match escaped {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                b'u' => {
                    let digits = self.bytes.get(self.at..self.at + 4)?;
                    self.at += 4;
                    digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                }
                _ => return None,
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        self.takes(b'-');
        if !self.takes(b'0') {
            self.digits()?;
        }
        if self.takes(b'.') {
            self.digits()?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _sign = self.takes(b'+') || self.takes(b'-');
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// Where, from `at` on, the next `"`, `\` or control character stands. Eight bytes a step: `x - 1 & !x` has the high bit
/// in the lowest byte of `x` that is zero, and `x - 0x20 & !x` in the lowest that is below 0x20 (Warren, Hacker's Delight, 6-1).
fn next_special(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        let (quote, backslash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5c));
        let found = quote.wrapping_sub(ONES) & !quote
            | backslash.wrapping_sub(ONES) & !backslash
            | word.wrapping_sub(ONES * 0x20) & !word;
        let found = found & HIGH_BITS;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' ')).map(|found| at + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parser_proper;
    use super::*;

    fn assert_agrees(text: &str) -> bool {
        let Some(quick) = envelope(text) else { return false };
        let proper = parser_proper(text, 0).unwrap_or_else(|rejection| panic!("{text}: {}", rejection.detail));
        assert_eq!(quick, proper, "{text}");
        true
    }

    #[test]
    fn plain_objects_are_taken() {
        let deep = |levels| format!(r#"{{"a":{}1{}}}"#, "[".repeat(levels), "]".repeat(levels));
        let empty = |levels| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        for text in [
            "{}",
            "{ }",
            r#"{"type":"a.b","data":{"x":[1,-0,0.5,1e9,1E-7,-12.25e+3,true,false,null,"",{}, [ ] ]},"old":null}"#,
            r#"{ "type" : "é\"\\\/\b\f\n\r\t\ud800" , "data" : "a string of more than eight bytes, with ünïcode" }"#,
            &deep(63),
            &empty(63),
        ] {
            assert!(assert_agrees(text), "{text}");
        }
        for text in [
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a" 1}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":1e}"#,
            r#"{"a":-}"#,
            r#"{"a":+1}"#,
            r#"{"a":nul}"#,
            r#"{"a":[1 2]}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":{"b"}}"#,
            r#"{"a":{"b":1,}}"#,
            r#"{"a":[}}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12g4"}"#,
            "{\"a\":\"tab\tstop\"}",
            "{\"a\":\"long enough for a word\u{1}\"}",
            r#"{"a":1}x"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":"#,
            r#"{"a":1"#,
            r#"{"a"#,
            "",
            &deep(64),
            &empty(64),
        ] {
            assert!(envelope(text).is_none(), "{text}");
        }
    }

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|truth| truth.to_string()),
            any::<f64>().prop_filter("JSON has no others", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
            any::<i64>().prop_map(|n| n.to_string()),
            ".{0,24}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            let member = ("[a-d\"\\\\é]{0,3}", inner.clone()).prop_map(|(name, value)| format!("{name:?} : {value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..5).prop_map(|values| format!("[{}]", values.join(" ,"))),
                prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(", "))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_it_takes_the_parser_takes(value in json(), old in json(), key in "[a-z]{1,6}") {
            assert_agrees(&format!(r#"{{"type":"a.b","data":{value},"{key}":{old}}}"#));
        }

        #[test]
        fn damage_deceives_it_no_more_than_the_parser(value in json(), at in any::<prop::sample::Index>(), bit in 0..7u8) {
            let mut bytes = format!(r#"{{"type":"a.b","data":{value}}}"#).into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(text) = String::from_utf8(bytes) {
                assert_agrees(&text);
            }
        }

        #[test]
        fn special_bytes_are_found_as_one_by_one(bytes in prop::collection::vec(any::<u8>(), 0..40), at in 0..42usize) {
            let one_by_one = (at..bytes.len()).find(|at| matches!(bytes[*at], b'"' | b'\\' | ..b' '));
            prop_assert_eq!(next_special(&bytes, at), one_by_one);
        }
    }
}
