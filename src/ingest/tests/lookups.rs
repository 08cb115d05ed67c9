//! Reading events again gives the same events.

use super::*;

fn same(a: &Event, b: &Event) -> bool {
    (a.seq, a.position, a.seen, &a.line, &a.id, &a.time) == (b.seq, b.position, b.seen, &b.line, &b.id, &b.time)
}

#[test]
fn extents_read_back_as_they_were() {
    let mut rig = Rig::with(|settings| settings.max_line = 400_000);
    let long = event(format!("\"{}\"", "x".repeat(390_000)));
    let text = format!("\u{feff}{}\n\n\0\0{}\r\nbad\n{long}\n{}\n{}", event(1), event(2), event(3), event(4));
    fs::write(rig.inbox("a.ndjson"), text).unwrap();
    append(&rig.inbox("b.ndjson"), lines(0, 6000));
    rig.settle();
    assert_eq!(rig.journal.events.len(), 6005);
    rig.settings.max_line = 50;
    for reader in [rig.ingest().reader(), LogReader::new(Arc::new(OsFiles), &rig.spool())] {
        let mut again = Vec::new();
        for extent in &rig.journal.extents {
            again.extend(reader.read(extent, 1).unwrap());
        }
        assert!(again.iter().zip(&rig.journal.events).all(|(a, b)| same(a, b)) && again.len() == 6005);
        for event in &rig.journal.events {
            let found = reader.event_at(event.position, event.seq, event.seen).unwrap().unwrap();
            assert!(same(&found, event));
        }
    }
    let extent = rig.journal.extents.iter().find(|extent| extent.events > 100).unwrap();
    let reader = rig.ingest.as_ref().unwrap().reader();
    let part = reader.read(extent, extent.first_seq + 60).unwrap();
    assert_eq!(part.len() as u32, extent.events - 60);
    assert_eq!(part[0].seq, extent.first_seq + 60);
}

#[test]
fn a_reader_follows_segments_into_the_archive() {
    let mut rig = Rig::new();
    append(&rig.inbox("a.ndjson"), lines(0, 3));
    rig.settle();
    let (inside, outside) = (rig.ingest().reader(), LogReader::new(Arc::new(OsFiles), &rig.spool()));
    let now = rig.now;
    assert_eq!(rig.ingest().retire(100, now).unwrap().len(), 1);
    for reader in [inside, outside] {
        assert_eq!(reader.read(&rig.journal.extents[0], 1).unwrap().len(), 3);
    }
}

#[test]
fn changed_segments_are_noticed() {
    let mut rig = Rig::new();
    append(&rig.inbox("a.ndjson"), lines(0, 3));
    rig.settle();
    let path = fs::read_dir(rig.spool().join("claimed")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&path).unwrap();
    let reader = LogReader::new(Arc::new(OsFiles), &rig.spool());
    let extent = rig.journal.extents[0];
    fs::write(&path, text.replacen(&event(1), &" ".repeat(event(1).len()), 1)).unwrap();
    assert!(matches!(reader.read(&extent, 1), Err(ReadError::Changed { expected: 3, found: 2, .. })));
    fs::write(&path, text.replacen("type", "tope", 1)).unwrap();
    assert!(matches!(reader.read(&extent, 1), Err(ReadError::NotAnEvent { .. })));
    fs::write(&path, "").unwrap();
    assert!(reader.read(&extent, 1).is_err());
    let first = &rig.journal.events[0];
    assert!(reader.event_at(first.position, 1, first.seen).is_err());
}

#[test]
fn the_parts_can_live_in_threads_of_their_own() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    sent::<Ingest>();
    shared::<LogReader>();
    shared::<Quarantine>();
    shared::<Producer>();
}
