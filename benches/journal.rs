//! What a commit costs: records become bytes, are written, synced to the disk of the target directory, and applied.

use std::sync::Arc;

use divan::counter::ItemsCount;
use spoolhook::env::OsFiles;
use spoolhook::model::{
    Attempt, AttemptTrigger, Exchange, Filter, Outcome, Position, SegmentId, Seq, SubId, Timestamp,
};
use spoolhook::store::{DeliveryFacts, DeliveryKey, Origin, Record, State, Verdict};

const SUB: SubId = SubId(1);

fn main() {
    divan::main();
}

fn delivered(seq: Seq) -> Record {
    Record::Attempted {
        key: DeliveryKey { sub: SUB, seq, replay: 0 },
        origin: Origin::Log,
        facts: DeliveryFacts {
            delivery: [7; 16],
            position: Position { segment: SegmentId(1), offset: seq * 500 },
            seen: Timestamp(0),
            event_id: "evt-0000000001".into(),
            event_type: "salesOrder.updated".into(),
            order: None,
        },
        attempt: Attempt {
            number: 1,
            started: Timestamp(0),
            duration_ms: 3,
            trigger: AttemptTrigger::First,
            outcome: Outcome::Success,
            exchange: Exchange {
                status_code: Some(200),
                response_headers: vec![("content-length".to_owned(), "0".to_owned())],
                request_bytes: 800,
                remote_address: "127.0.0.1:9000".to_owned(),
                ..Exchange::default()
            },
        },
        verdict: Verdict::Delivered,
        base: 0,
        replay_of: None,
        from: seq,
        low: seq + 1,
    }
}

/// Outcomes of this many deliveries become durable together.
#[divan::bench(args = [1, 64, 1024])]
fn commit(bencher: divan::Bencher<'_, '_>, count: u64) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let (mut state, _) = State::open(Arc::new(OsFiles), dir.path(), Timestamp(0)).expect("a state");
    let subscribed = Record::Subscribed {
        sub: SUB,
        tenant: "default".to_owned(),
        name: "bench".to_owned(),
        filter: Filter::default(),
        from_seq: 1,
        matched: u64::MAX / 2,
        at: Timestamp(0),
    };
    state.commit(&[subscribed]).expect("durable");
    let mut next_seq = 1;
    let batch = || {
        next_seq += count;
        (next_seq - count..next_seq).map(delivered).collect::<Vec<_>>()
    };
    let items = ItemsCount::new(count);
    bencher
        .with_inputs(batch)
        .input_counter(move |_| items)
        .bench_local_refs(|records| state.commit(records).expect("durable"));
}
