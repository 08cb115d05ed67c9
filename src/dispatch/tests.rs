//! Runs of events: what a worker takes at a time, and that nothing is lost of what it did not get to.

use rangemap::RangeSet;

use super::outcome::Judgement;
use super::*;
use crate::model::{Exchange, Operation, Outcome, Position, SegmentId};

const SUB: SubId = SubId(1);
const NOW: Timestamp = Timestamp(1_000);

fn event(seq: Seq) -> Arc<Event> {
    Arc::new(Event {
        seq,
        position: Position { segment: SegmentId(1), offset: seq },
        seen: NOW,
        line: Arc::from(&b"{}"[..]),
        event_type: "a.b".to_owned().into(),
        tenant: "default".to_owned().into(),
        id: seq.to_string().into(),
        time: String::new().into(),
        key: None,
        operation: Operation::Update,
        trigger: "b".to_owned().into(),
        traceparent: None,
        data: 0..2,
        old: None,
    })
}

fn with_backlog(events: Seq) -> Scheduler<()> {
    let mut scheduler = Scheduler::new(CrewSize::of(4, 8), 1, None);
    let (subscription, target, reach) =
        (Arc::new(Subscription::new("oms", "http://127.0.0.1:9000/")), Arc::new(()), Reach::CaughtUp);
    let start = LaneStart {
        sub: SUB,
        subscription,
        target,
        reach,
        passed: RangeSet::new(),
        parked: false,
        ordered: Vec::new(),
        paused: None,
    };
    scheduler.add(start, NOW);
    let events: Vec<_> = (1..=events).map(event).collect();
    let matches = (0..u32::try_from(events.len()).unwrap()).map(|index| (index, SUB)).collect();
    let next_seq = events.len() as Seq + 1;
    scheduler.take(Input::Fed(Feed { events, matches, next_seq }), NOW, 0);
    scheduler
}

/// The one job that goes out now, and the `low` of what was recorded before it.
fn job(scheduler: &mut Scheduler<()>) -> (Job<()>, Option<Seq>) {
    let actions = scheduler.run(NOW).0;
    let low = last_low(&actions);
    let mut jobs =
        actions.into_iter().filter_map(|action| if let Action::Send(job) = action { Some(job) } else { None });
    let job = jobs.next().expect("a job");
    assert!(jobs.next().is_none(), "one worker at a time");
    (job, low)
}

fn last_low(actions: &[Action<()>]) -> Option<Seq> {
    let lows = actions.iter().rev().filter_map(|action| match action {
        Action::Commit(records, _) => records.iter().rev().find_map(|record| match record {
            Record::Attempted { low, .. } => Some(*low),
            _ => None,
        }),
        _ => None,
    });
    lows.into_iter().next()
}

fn done(job: Job<()>, judgement: Judgement) -> Done<()> {
    let outcome = if judgement == Judgement::Delivered { Outcome::Success } else { Outcome::Http4xx };
    let attempt = Attempt {
        number: 1,
        started: NOW,
        duration_ms: 1,
        trigger: AttemptTrigger::First,
        outcome,
        exchange: Exchange::default(),
    };
    Done { job, attempt, judgement, retry_after: None }
}

/// Lets a worker get through `count` events of the job, the last one with `judgement`.
fn ran(mut job: Job<()>, count: usize, judgement: Judgement) -> Input<()> {
    let mut unsent = std::mem::take(&mut job.more);
    let next: Vec<_> = unsent.drain(..count - 1).map(job.to_come()).collect();
    let mut ran = Ran::of(&job);
    ran.freed = job.width as usize;
    let mut done: Vec<_> = std::iter::once(job).chain(next).map(|job| self::done(job, Judgement::Delivered)).collect();
    done.last_mut().unwrap().judgement = judgement;
    Input::Ran(Ran { done, count, is_cut: !unsent.is_empty(), unsent, ended: true, ..ran })
}

#[test]
fn a_worker_gets_more_as_it_keeps_up() {
    let mut scheduler = with_backlog(400);
    let mut lengths = Vec::new();
    let mut expected = 1;
    for _ in 0..6 {
        let (job, _) = job(&mut scheduler);
        assert_eq!(job.event.seq, expected);
        let count = 1 + job.more.len();
        expected += count as Seq;
        lengths.push(count);
        scheduler.take(ran(job, count, Judgement::Delivered), NOW, 0);
    }
    assert_eq!(lengths, [1, 2, 4, 8, 16, 32]);
}

#[test]
fn what_a_worker_did_not_get_to_is_next_and_holds_the_low_mark() {
    let mut scheduler = with_backlog(400);
    for count in [1, 2] {
        let (job, _) = job(&mut scheduler);
        scheduler.take(ran(job, count, Judgement::Delivered), NOW, 0);
    }
    let (third, _) = job(&mut scheduler);
    assert_eq!((third.event.seq, third.more.len()), (4, 3));
    scheduler.take(ran(third, 2, Judgement::Failed), NOW, 0);
    let (fourth, low) = job(&mut scheduler);
    assert_eq!((fourth.event.seq, fourth.more.len(), low), (6, 0, Some(6)), "no runs to an endpoint that failed");
    scheduler.pause(SUB, "by hand".to_owned());
    scheduler.take(ran(fourth, 1, Judgement::Delivered), NOW, 0);
    assert_eq!(last_low(&scheduler.run(NOW).0), Some(7));
    scheduler.take(Input::Committed { notices: Vec::new(), commits: 6 }, NOW, 0);
    assert!(scheduler.drained(NOW, NOW), "what was returned waits as the rest does");
    scheduler.resume(SUB);
    assert_eq!(job(&mut scheduler).0.event.seq, 7);
}

#[test]
fn no_more_goes_out_than_a_kill_may_repeat() {
    let mut scheduler = with_backlog(400);
    let (mut sent, mut next) = (0, 1);
    loop {
        let Some(Action::Send(job)) = scheduler.run(NOW).0.into_iter().find(|action| matches!(action, Action::Send(_)))
        else {
            break;
        };
        let count = 1 + job.more.len();
        sent += count;
        scheduler.take(ran(job, count, Judgement::Delivered), NOW, 0);
        // As the log goes on.
        let events: Vec<_> = (400 + next..400 + next + count as Seq).map(event).collect();
        next += count as Seq;
        let matches = (0..u32::try_from(events.len()).unwrap()).map(|index| (index, SUB)).collect();
        scheduler.take(Input::Fed(Feed { events, matches, next_seq: 400 + next }), NOW, 0);
    }
    assert!(
        (UNCOMMITTED_MAX..=UNCOMMITTED_MAX + 4).contains(&sent),
        "{sent} deliveries are neither durable nor refused"
    );
    scheduler.take(Input::Committed { notices: Vec::new(), commits: 1 }, NOW, 0);
    assert_eq!(job(&mut scheduler).0.more.len(), 0, "room for one");
}

#[test]
fn what_waits_longest_for_an_attempt_is_told() {
    let mut scheduler = with_backlog(3);
    let (first, _) = job(&mut scheduler);
    let later = NOW.plus(std::time::Duration::from_secs(30));
    let overdue = |scheduler: &Scheduler<()>| scheduler.status(later)[0].overdue_since;
    assert_eq!(overdue(&scheduler), Some(NOW), "two more wait, and could be sent");
    scheduler.pause(SUB, "by hand".to_owned());
    assert_eq!(overdue(&scheduler), None, "nothing is overdue that may not be sent");
    scheduler.resume(SUB);
    scheduler.take(ran(first, 1, Judgement::Delivered), NOW, 0);
    assert!(matches!(scheduler.run(NOW).0.last(), Some(Action::ReadLog { from: 2, .. })), "it gave its window back");
    scheduler.take(Input::LogRead { sub: SUB, events: vec![event(2), event(3)], next: 4 }, NOW, 0);
    assert_eq!(overdue(&scheduler), Some(NOW));
    let (second, _) = job(&mut scheduler);
    assert_eq!((second.more.len(), overdue(&scheduler)), (0, Some(NOW)), "one waits");
    scheduler.take(ran(second, 1, Judgement::Delivered), NOW, 0);
    job(&mut scheduler);
    assert_eq!(overdue(&scheduler), None, "the last one is on its way");
}
