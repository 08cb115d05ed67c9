//! One record of the journal as bytes, and how to find records again among damaged ones. Pure.
//!
//! ```text
//!   0        4         8         12         20      21                21+len
//!   | "SHJ1" | len u32 | crc u32 | lsn u64  | flags | payload          |
//!   +--------+---------+---------+----------+-------+------------------+
//!   all integers little-endian; crc = CRC-32 (IEEE) over lsn, flags and payload
//!   flags bit 0: last frame of its commit. Frames after the last commit of the last file never happened.
//! ```

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 21;
const MAGIC: &[u8; 4] = b"SHJ1";
const COMMIT: u8 = 1;
/// Longest payload ever written; a longer length field is damage.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// A frame that passed its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub lsn: u64,
    /// Whether this frame ends a commit.
    pub commit: bool,
    pub payload: &'a [u8],
    /// Offset of the frame's first byte in the scanned buffer.
    pub start: usize,
}

impl Frame<'_> {
    /// Offset after the frame's last byte.
    pub fn end(&self) -> usize {
        self.start + HEADER_BYTES + self.payload.len()
    }
}

/// What lies at one place of a journal file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    Frame(Frame<'a>),
    /// Bytes that are no frame, up to the next frame or the end.
    Damage {
        start: usize,
        end: usize,
    },
}

fn checksum(lsn: [u8; 8], flags: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&lsn);
    hasher.update(&[flags]);
    hasher.update(payload);
    hasher.finalize()
}

/// Appends one frame to `out`. Panics, and so stops the line, at a payload that would be damage to whoever reads it.
pub fn encode(lsn: u64, commit: bool, payload: &[u8], out: &mut Vec<u8>) {
    assert!(payload.len() <= PAYLOAD_BYTES_MAX, "a record of {} bytes could not be read back", payload.len());
    let flags = u8::from(commit) * COMMIT;
    let lsn = lsn.to_le_bytes();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&u32::try_from(payload.len()).expect("bounded above").to_le_bytes());
    out.extend_from_slice(&checksum(lsn, flags, payload).to_le_bytes());
    out.extend_from_slice(&lsn);
    out.push(flags);
    out.extend_from_slice(payload);
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn frame_at(bytes: &[u8], start: usize) -> Option<Frame<'_>> {
    let rest = bytes.get(start..)?;
    if rest.len() < HEADER_BYTES || &rest[..4] != MAGIC {
        return None;
    }
    let len = u32_at(rest, 4) as usize;
    if len > PAYLOAD_BYTES_MAX || rest.len() < HEADER_BYTES + len {
        return None;
    }
    let lsn: [u8; 8] = rest[12..20].try_into().expect("eight bytes");
    let flags = rest[20];
    let payload = &rest[HEADER_BYTES..HEADER_BYTES + len];
    (checksum(lsn, flags, payload) == u32_at(rest, 8)).then(|| Frame {
        lsn: u64::from_le_bytes(lsn),
        commit: flags & COMMIT != 0,
        payload,
        start,
    })
}

/// Whether `bytes` are the beginning of frame `lsn` and end before it does. A length field that was damaged so that the
/// frame seems longer than it is does not pass: the checksum fits what is there.
pub fn is_cut_short(bytes: &[u8], lsn: u64) -> bool {
    let magic = bytes.len().min(MAGIC.len());
    if bytes[..magic] != MAGIC[..magic] {
        return false;
    }
    let Some((header, payload)) = bytes.split_at_checked(HEADER_BYTES) else { return true };
    let len = u32_at(header, 4) as usize;
    let number: [u8; 8] = header[12..20].try_into().expect("eight bytes");
    let is_whole = checksum(number, header[20], payload) == u32_at(header, 8);
    !is_whole
        && len > payload.len()
        && len <= PAYLOAD_BYTES_MAX
        && u64::from_le_bytes(number) == lsn
        && header[20] & !COMMIT == 0
}

/// Walks the frames in `bytes`, reporting damage and going on behind it.
pub fn scan(bytes: &[u8]) -> impl Iterator<Item = Item<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        if let Some(frame) = frame_at(bytes, at) {
            at = frame.end();
            return Some(Item::Frame(frame));
        }
        let start = at;
        let mut next = start + 1;
        at = loop {
            match memchr::memmem::find(&bytes[next.min(bytes.len())..], MAGIC) {
                None => break bytes.len(),
                Some(offset) if frame_at(bytes, next + offset).is_some() => break next + offset,
                Some(offset) => next += offset + 1,
            }
        };
        Some(Item::Damage { start, end: at })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, payload) in payloads.iter().enumerate() {
            encode(index as u64 + 1, index % 2 == 1, payload, &mut bytes);
        }
        bytes
    }

    fn payloads_of(bytes: &[u8]) -> Vec<Vec<u8>> {
        scan(bytes)
            .filter_map(|item| match item {
                Item::Frame(frame) => Some(frame.payload.to_vec()),
                Item::Damage { .. } => None,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8)) {
            prop_assert_eq!(payloads_of(&encoded(&payloads)), payloads);
        }

        #[test]
        fn a_flipped_bit_costs_one_frame(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 1..6),
            place in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let mut bytes = encoded(&payloads);
            let at = place.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let read = payloads_of(&bytes);
            prop_assert!(read.len() + 1 >= payloads.len(), "{} of {}", read.len(), payloads.len());
            prop_assert!(read.iter().all(|payload| payloads.contains(payload)));
        }

        #[test]
        fn a_cut_leaves_a_prefix(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 1..6),
            place in any::<prop::sample::Index>(),
        ) {
            let bytes = encoded(&payloads);
            let read = payloads_of(&bytes[..place.index(bytes.len())]);
            prop_assert_eq!(&read[..], &payloads[..read.len()]);
        }
    }
}
