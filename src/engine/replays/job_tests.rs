use super::*;
use crate::model::SegmentId;
use crate::store::{DeliveryFacts, ExceptionRow, ExceptionStatus};

fn key(sub: u32, seq: u64) -> DeliveryKey {
    DeliveryKey { sub: SubId(sub), seq, replay: 0 }
}

fn job(subs: &[u32], each: u64, rate: Option<Rate>) -> Job {
    let entry = |key| Entry { key, was: ExceptionStatus::Failed, attempts: 1, base: 0 };
    let entries = subs.iter().flat_map(|sub| (1..=each).map(|seq| entry(key(*sub, seq)))).collect();
    let info = Info {
        id: "rpl_1".into(),
        tenant: None,
        created_by: "socket".into(),
        created_ms: 0,
        filter: ReplayFilter::default(),
        rate: None,
        order: ReplayDirection::Oldest,
        consent: false,
        lsn: 0,
        cancelled: false,
        ended: None,
    };
    Job::new(info, Snapshot { entries, ..Snapshot::default() }, rate)
}

fn retriggered(key: DeliveryKey) -> Record {
    let facts = DeliveryFacts {
        delivery: [0; 16],
        position: crate::model::Position { segment: SegmentId(1), offset: 0 },
        seen: Timestamp(0),
        event_id: "e".into(),
        event_type: "a.b".into(),
        order: None,
    };
    let row = ExceptionRow {
        status: ExceptionStatus::Parked,
        facts,
        due: Timestamp(0),
        attempts: 1,
        base: 1,
        last: None,
        replay_of: None,
        updated: Timestamp(0),
    };
    Record::Retriggered { key, row, was: ExceptionStatus::Failed, at: Timestamp(0) }
}

fn ended(key: DeliveryKey, end: End) -> Record {
    let Record::Retriggered { row, .. } = retriggered(key) else { unreachable!() };
    let origin = crate::store::Origin::Parked;
    Record::Ended { key, origin, facts: row.facts, end, from: 0, low: 0, at: Timestamp(0) }
}

#[test]
fn what_is_outstanding_is_bounded_for_each_subscription() {
    let mut job = job(&[1, 2], 500, None);
    let mut taken = Vec::new();
    loop {
        let batch = job.take_batch(Duration::ZERO, false);
        if batch.is_empty() {
            break;
        }
        taken.extend(batch);
    }
    assert_eq!(taken.len(), 2 * OUTSTANDING_MAX);
    for (at, entry) in taken.iter().filter(|(_, entry)| entry.key.sub == SubId(1)) {
        job.follow(entry.key, *at);
        assert!(job.take(&retriggered(entry.key)));
        assert!(!job.take(&retriggered(entry.key)), "somebody else's is not counted again");
    }
    assert!(job.take_batch(Duration::ZERO, false).is_empty(), "sent is still outstanding");
    for (_, entry) in taken.iter().filter(|(_, entry)| entry.key.sub == SubId(1)) {
        assert!(job.take(&ended(entry.key, End::Expired)));
    }
    let more = job.take_batch(Duration::ZERO, false);
    assert!(more.len() == OUTSTANDING_MAX && more.iter().all(|(_, entry)| entry.key == key(1, entry.key.seq)));
    let view = job.view(Duration::from_secs(1));
    assert_eq!((view.matched, view.sent, view.failed, view.pending), (1000, 64, 64, 936));
}

#[test]
fn a_rate_is_kept_without_bursts() {
    let mut job = job(&[1], 500, Some(Rate { count: 20, per: Duration::from_secs(1) }));
    let mut sent = 0;
    for tick in 0..200 {
        for (at, _) in job.take_batch(Duration::from_millis(tick * 10), false) {
            job.set(at, Mark::Delivered);
            sent += 1;
        }
    }
    assert!((39..=42).contains(&sent), "{sent} in two seconds");
    assert!(job.take_batch(Duration::from_secs(60), false).len() <= 5, "a pause is not made up for");
}

#[test]
fn a_cancelled_job_ends_with_what_is_on_its_way() {
    let mut job = job(&[1], 100, None);
    let batch = job.take_batch(Duration::ZERO, false);
    assert_eq!(batch.len(), OUTSTANDING_MAX);
    job.cancel();
    assert!(job.take_batch(Duration::ZERO, false).is_empty() && !job.is_settled() && !job.has_unsent());
    for (at, entry) in &batch {
        job.follow(entry.key, *at);
        job.take(&retriggered(entry.key));
        job.take(&ended(entry.key, End::Cancelled));
    }
    assert!(job.is_settled());
    let view = job.as_ended(Timestamp(5)).view(Duration::ZERO);
    assert_eq!((view.status, view.matched, view.sent, view.cancelled), (ReplayStatus::Cancelled, 100, 64, 100));
    assert_eq!(view.finished_at, Some(Timestamp(5)));
}
