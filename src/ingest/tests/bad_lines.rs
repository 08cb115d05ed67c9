//! Lines that are no events: set aside whole, their neighbours untouched.

use super::*;
use crate::model::RejectionReason::*;

fn good_and(bad: &[u8]) -> Vec<u8> {
    [event(1).as_bytes(), b"\n", bad, b"\n", event(2).as_bytes(), b"\n"].concat()
}

#[test]
fn ten_kinds_of_bad_line_leave_their_neighbours_alone() {
    let deep = event("[".repeat(70) + &"]".repeat(70));
    let (glued, checked) = (event(8) + &event(9), "00000000 ".to_owned() + &event(9));
    let cases: [(&[u8], _); 10] = [
        (b"{\"type\":\"a.b\",\"data\":", InvalidJson),
        (b"[1]", NotObject),
        (b"{\"type\":\"a\xff\"}", InvalidUtf8),
        (b"{\"type\":\"a\0\"}", NulBytes),
        (&[b'x'; 200], TooLong),
        (deep.as_bytes(), TooDeep),
        (b"{\"type\":\"a b\",\"data\":1}", Schema),
        (b"{\"type\":\"a\",\"type\":\"b\",\"data\":1}", DuplicateKey),
        (glued.as_bytes(), TrailingData),
        (checked.as_bytes(), BadCrc),
    ];
    for (bad, reason) in cases {
        let mut rig = Rig::with(|settings| settings.max_line = 180);
        fs::write(rig.inbox("a.ndjson"), good_and(bad)).unwrap();
        rig.settle();
        assert_eq!(rig.data(), ["1", "2"]);
        assert_eq!(rig.reasons(), [reason.as_str()]);
        let id = rig.quarantined()[0].id.clone();
        let (entry, raw) = Quarantine::new(Arc::clone(&rig.files), &rig.spool()).show(&id).unwrap();
        assert_eq!(raw, [bad, b"\n"].concat(), "kept byte for byte");
        assert_eq!((entry.source.as_str(), entry.offset), ("a", event(1).len() as u64 + 1));
        rig.restart();
        rig.settle();
        assert_eq!((rig.data().len(), rig.quarantined().len()), (2, 1), "not set aside again");
    }
}

#[test]
fn glued_and_torn_lines() {
    let mut rig = Rig::new();
    let torn = &event(7)[..25];
    fs::write(rig.inbox("a.ndjson"), format!("{torn}{}\n\n{}\n", event(8), event(9))).unwrap();
    rig.settle();
    assert_eq!((rig.data(), rig.reasons()), (vec!["9".to_owned()], vec!["invalid_json".to_owned()]));
}

#[test]
fn the_longest_line_fits_and_one_more_byte_does_not() {
    let of = |len: usize| event(format!("\"{}\"", "x".repeat(len - event("\"\"").len())));
    for max in [100, 4096, 256 * 1024, 300_000] {
        let mut rig = Rig::with(|settings| settings.max_line = max);
        let text = [of(max), of(max + 1), of(max - 1) + "\r", of(10 * max), event(1)].join("\n") + "\n";
        fs::write(rig.inbox("a.ndjson"), &text).unwrap();
        rig.settle();
        assert_eq!(rig.data().len(), 3, "{max}");
        assert_eq!(rig.reasons(), ["too_long", "too_long"]);
        for entry in rig.quarantined() {
            let (_, raw) = Quarantine::new(Arc::clone(&rig.files), &rig.spool()).show(&entry.id).unwrap();
            let range = entry.offset as usize..(entry.offset + entry.len) as usize;
            assert!(raw == text.as_bytes()[range], "a long line is kept whole");
        }
    }
}

#[test]
fn encodings() {
    let mut rig = Rig::new();
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(event(9).encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let bom = "\u{feff}";
    let text = format!("{bom}{}\r\n{bom}{}\n", event(1), event(2));
    fs::write(rig.inbox("bom.ndjson"), text).unwrap();
    fs::write(rig.inbox("utf16.ndjson"), [&utf16[..], b"\n"].concat()).unwrap();
    fs::write(rig.inbox("cr.ndjson"), event(4) + "\r" + &event(5)).unwrap();
    let hole = File::create(rig.inbox("hole.ndjson")).unwrap();
    hole.set_len(48 << 20).unwrap();
    append(&rig.inbox("hole.ndjson"), lines(3, 4));
    drop(hole);
    rig.settle();
    let mut data = rig.data();
    data.sort();
    assert_eq!(data, ["1", "3"]);
    let mut reasons = rig.reasons();
    reasons.sort();
    assert_eq!(reasons, ["invalid_json", "invalid_utf8", "torn_tail"]);
    let found = rig.journal.events.iter().find(|event| event.data() == b"3").unwrap();
    assert_eq!(found.position.offset, 0, "the hole belongs to the line");
}

#[test]
fn characters_across_every_block_edge() {
    let mut rig = Rig::new();
    let text: String = (0..40_000).map(|n| event(format!("\"{}é𝄞{n}\"", "y".repeat(n % 7))) + "\n").collect();
    fs::write(rig.inbox("a.ndjson"), &text).unwrap();
    rig.settle();
    let back: String =
        rig.journal.events.iter().map(|event| String::from_utf8(event.line.to_vec()).unwrap() + "\n").collect();
    assert!(back == text);
}

#[test]
fn a_flood_of_bad_lines_slows_down_but_ends() {
    let mut rig = Rig::new();
    fs::write(rig.inbox("bin.ndjson"), "x\n".repeat(5_000)).unwrap();
    append(&rig.inbox("ok.ndjson"), lines(0, 1));
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.data(), ["0"]);
    assert!(rig.quarantined().len() < 3_000);
    assert!(rig.problem_kinds().contains(&ProblemKind::Flood));
    rig.run(Duration::from_secs(40));
    assert_eq!(rig.quarantined().len(), 5_000);
    assert!(rig.problem_kinds().is_empty());
}

#[test]
fn decisions_about_bad_lines() {
    let mut rig = Rig::new();
    fs::write(rig.inbox("a.ndjson"), good_and(b"{\"type\":\"a.b\"}")).unwrap();
    append(&rig.inbox("a.ndjson"), [b"\n", &[b'z'; 100_000][..], b"\n"].concat());
    rig.settle();
    let quarantine = Quarantine::new(Arc::clone(&rig.files), &rig.spool());
    let ids: Vec<_> = rig.quarantined().into_iter().map(|entry| entry.id).collect();
    assert!(matches!(quarantine.retry(&ids[0], None, 1000, rig.now), Err(QuarantineError::NotSent { .. })));
    quarantine.retry(&ids[0], Some(event(3).as_bytes()), 1000, rig.now).unwrap();
    quarantine.drop_line(&ids[1], rig.now).unwrap();
    assert!(matches!(quarantine.drop_line(&ids[0], rig.now), Err(QuarantineError::Decided { .. })));
    assert!(matches!(quarantine.show("nonsense"), Err(QuarantineError::NotFound { .. })));
    let states: Vec<_> = rig.quarantined().into_iter().map(|entry| entry.state).collect();
    assert_eq!(states, [QuarantineState::Retried, QuarantineState::Dropped]);
    assert_eq!(fs::read_dir(rig.spool().join("quarantine")).unwrap().count(), 1, "the long line's file is gone");
    rig.settle();
    assert_eq!(rig.data(), ["1", "2", "3"]);
}
