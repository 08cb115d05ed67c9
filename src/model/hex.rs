/// Lower-case hex digits, two for each byte.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// The bytes behind two hex digits each, in either case; `None` for anything else.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(hex(&[0, 9, 0xa5, 0xff]), "0009a5ff");
        assert_eq!(hex(&[]), "");
        assert_eq!(unhex("0009a5ff"), Some([0, 9, 0xa5, 0xff]));
        for wrong in ["0009a5f", "0009a5ff0", "0009a5fg", "+109a5ff", "00é0a5f"] {
            assert_eq!(unhex::<4>(wrong), None, "{wrong}");
        }
    }
}
