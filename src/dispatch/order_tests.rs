//! The order per key, one decision at a time.

use super::order::*;
use super::*;
use crate::model::{Operation, OrderKey, Position, SegmentId};
use crate::store::{DeliveryFacts, ExceptionStatus};

fn event(seq: Seq, key: Option<&str>) -> Arc<Event> {
    Arc::new(Event {
        seq,
        position: Position { segment: SegmentId(1), offset: seq },
        seen: Timestamp(0),
        line: Arc::from(format!(r#"{{"data":{{"id":{}}}}}"#, seq % 2).as_bytes()),
        event_type: "a".into(),
        tenant: "default".into(),
        id: seq.to_string().into(),
        time: "".into(),
        key: key.map(Into::into),
        operation: Operation::Update,
        trigger: "a".into(),
        traceparent: None,
        data: 8..16,
        old: None,
    })
}

fn subscription(by: &str, supersede: bool) -> Subscription {
    Subscription { order_by: Some(by.into()), supersede, ..Subscription::new("s", "http://127.0.0.1/") }
}

/// An order, and the one key that is used here.
struct Bench {
    order: Order,
    key: OrderKey,
}

impl Bench {
    fn new(supersede: bool) -> Self {
        let order = Order::of(&subscription("key", supersede)).unwrap();
        let key = order.key(&event(1, Some("k"))).unwrap();
        Self { order, key }
    }

    fn arrive(&mut self, seq: Seq) -> (bool, Vec<Seq>) {
        let (goes, skipped) = self.order.arrive(self.key, &event(seq, Some("k")), |_| false);
        let number = |skipped: &Skipped| match skipped {
            Skipped::Event(event) => event.seq,
            Skipped::Row(row, _) => row.0,
        };
        (goes, skipped.iter().map(number).collect())
    }

    /// The number of what follows once the outcome of `seq` is durable.
    fn settle(&mut self, seq: Seq) -> Option<Seq> {
        number(self.order.settle(self.key, Decided::InHand((seq, 0))))
    }

    fn park(&mut self, seq: Seq) {
        self.order.park(self.key, (seq, 0), &facts(seq, self.key));
    }

    fn come_due(&mut self, seq: Seq) -> Option<Seq> {
        self.order.admit(parked(seq, self.key)).map(|parked| parked.key.seq)
    }

    fn gone(&mut self, seq: Seq) -> Option<Seq> {
        let key = self.order.gone((seq, 0))?;
        number(self.order.next(key))
    }
}

fn number(next: Next) -> Option<Seq> {
    match next {
        Next::Event(event) => Some(event.seq),
        Next::Row(parked) => Some(parked.key.seq),
        Next::Nothing => None,
    }
}

fn facts(seq: Seq, key: OrderKey) -> DeliveryFacts {
    DeliveryFacts {
        delivery: [0; 16],
        position: Position { segment: SegmentId(1), offset: seq },
        seen: Timestamp(0),
        event_id: seq.to_string().into(),
        event_type: "a".into(),
        order: Some(key),
    }
}

fn parked(seq: Seq, key: OrderKey) -> Parked {
    let row = ExceptionRow {
        status: ExceptionStatus::Parked,
        facts: facts(seq, key),
        due: Timestamp(0),
        attempts: 1,
        base: 0,
        last: None,
        replay_of: None,
        updated: Timestamp(0),
    };
    Parked { key: DeliveryKey { sub: SubId(1), seq, replay: 0 }, row, event: Some(event(seq, Some("k"))) }
}

#[test]
fn one_delivery_of_a_key_is_in_hand_and_the_rest_follow_in_order() {
    let mut bench = Bench::new(false);
    assert!(bench.arrive(1).0);
    assert!(!bench.arrive(2).0 && !bench.arrive(3).0);
    let other = event(4, Some("other"));
    let key = bench.order.key(&other).unwrap();
    assert!(bench.order.arrive(key, &other, |_| false).0, "another key goes on");
    assert_eq!([bench.settle(1), bench.settle(2), bench.settle(3)], [Some(2), Some(3), None]);
    assert!(bench.arrive(5).0, "the key is free again");
    assert_eq!(bench.order.held(), 0);
}

#[test]
fn a_failed_delivery_holds_its_key_until_it_has_ended() {
    let mut bench = Bench::new(false);
    bench.arrive(1);
    bench.arrive(2);
    bench.park(1);
    assert_eq!(bench.settle(1), None, "it waits for its retry");
    assert_eq!(bench.come_due(1), Some(1));
    bench.park(1);
    assert_eq!(bench.settle(1), None);
    assert_eq!(bench.come_due(1), Some(1));
    assert_eq!(bench.gone(1), None, "in hand until the outcome is durable");
    assert_eq!(bench.settle(1), Some(2));
    assert_eq!(bench.gone(2), None);
}

#[test]
fn somebody_who_ends_a_waiting_delivery_lets_the_next_one_go() {
    let mut bench = Bench::new(false);
    bench.arrive(1);
    bench.arrive(2);
    bench.park(1);
    bench.settle(1);
    assert_eq!(bench.gone(1), Some(2));
}

#[test]
fn rows_of_a_key_go_one_by_one_however_they_come_due() {
    let mut bench = Bench::new(false);
    for seq in [3, 1, 2] {
        bench.order.note(bench.key, (seq, 0));
    }
    assert_eq!([bench.come_due(3), bench.come_due(2), bench.come_due(1)], [None, None, Some(1)]);
    assert!(!bench.arrive(4).0);
    bench.gone(1);
    assert_eq!(bench.settle(1), Some(2));
    bench.gone(2);
    assert_eq!(bench.settle(2), Some(3));
    assert_eq!(bench.order.take_due().len(), 0);
    bench.gone(3);
    assert_eq!(bench.settle(3), Some(4));
}

#[test]
fn an_older_event_than_the_rows_goes_first() {
    let mut bench = Bench::new(false);
    bench.order.note(bench.key, (7, 0));
    assert!(bench.arrive(2).0);
    assert_eq!(bench.come_due(7), None);
    assert_eq!(bench.settle(2), Some(7));
}

#[test]
fn only_the_newest_of_what_waits_is_sent_and_not_before_the_skip_is_durable() {
    let mut bench = Bench::new(true);
    bench.arrive(1);
    assert_eq!([bench.arrive(2), bench.arrive(3)], [(false, vec![]), (false, vec![2])]);
    assert_eq!(bench.settle(1), None, "the end of 2 is not durable");
    assert_eq!(number(bench.order.settle(bench.key, Decided::Skip)), Some(3));
    bench.park(3);
    assert_eq!(bench.settle(3), None);
    assert_eq!(bench.arrive(4), (false, vec![3]), "a retry is skipped as well");
    assert_eq!(number(bench.order.settle(bench.key, Decided::Skip)), None, "its row is still there");
    assert_eq!(bench.gone(3), Some(4));
}

#[test]
fn what_somebody_wants_made_again_is_not_skipped() {
    let mut bench = Bench::new(true);
    bench.arrive(3);
    bench.order.note(bench.key, (1, 0));
    assert_eq!(bench.come_due(1), None);
    assert_eq!(bench.arrive(4), (false, vec![]));
    assert_eq!(bench.settle(3), Some(1));
    bench.gone(1);
    assert_eq!(bench.settle(1), Some(4));
}

#[test]
fn a_failure_with_a_newer_state_behind_it_is_not_tried_again() {
    let mut bench = Bench::new(true);
    bench.arrive(1);
    bench.arrive(2);
    bench.park(1);
    assert!(bench.order.overtaken((1, 0)).is_some());
    assert_eq!(bench.gone(1), None);
    assert_eq!(bench.settle(1), Some(2));
}

#[test]
fn what_is_held_is_bounded_and_comes_back_whole() {
    let mut bench = Bench::new(false);
    let arrived = (1..).take_while(|seq| !bench.order.is_full() && (bench.arrive(*seq).0 || *seq > 1)).count();
    let held: Vec<Seq> = bench.order.take_held().iter().map(|event| event.seq).collect();
    assert_eq!(held, (2..=arrived as Seq).collect::<Vec<_>>());
    assert!(!bench.order.is_full());
}

#[test]
fn keys_are_texts_or_places_and_no_key_is_no_order() {
    let by_key = subscription("key", false);
    assert_eq!(order_key(&by_key, &event(1, None)), None);
    assert_eq!(order_key(&by_key, &event(1, Some("k"))), order_key(&by_key, &event(2, Some("k"))));
    let by_place = subscription("/data/id", false);
    assert_eq!(order_key(&by_place, &event(1, None)), order_key(&by_place, &event(3, None)));
    assert_ne!(order_key(&by_place, &event(1, None)), order_key(&by_place, &event(2, None)));
    assert_eq!(order_key(&subscription("/data/none", false), &event(1, None)), None);
    assert_eq!(order_key(&Subscription::new("s", "http://127.0.0.1/"), &event(1, Some("k"))), None);
}

#[test]
fn another_order_and_a_pause_send_nothing_again() {
    let mut lane = Lane::new(
        Arc::new(subscription("key", false)),
        Arc::new(()),
        Reach::CaughtUp,
        1,
        rangemap::RangeSet::new(),
        Timestamp(0),
    );
    let take = |lane: &mut Lane<()>| lane.take(|_| true).map(|event| event.seq);
    for (seq, key) in [(1, "k"), (2, "k"), (3, "other")] {
        lane.offer(&event(seq, Some(key)));
    }
    assert_eq!([take(&mut lane), take(&mut lane)], [Some(1), Some(3)], "2 is held");
    lane.settle(3);
    lane.subscription = Arc::new(subscription("/data/id", false));
    assert!(lane.renew_order());
    lane.offer(&event(4, Some("k")));
    lane.give_back();
    assert_eq!(lane.wants_log().map(|(from, ..)| from), Some(4), "3 was judged");
    assert_eq!(lane.low(5), 1);
    assert_eq!(take(&mut lane), Some(2), "what was held is still there");
    lane.reading_log = Some(4);
    lane.extend(vec![event(4, Some("k"))], 5, 5);
    assert_eq!([lane.settle(1), lane.settle(2)], [1, 2]);
    assert_eq!((take(&mut lane), take(&mut lane), lane.low(5)), (None, None, 4));
}
