//! Changes that go in batches end as those that go one by one.

use proptest::prelude::*;

use super::*;
use crate::env::OsFiles;
use crate::model::Position;
use crate::store::SledTrees;

const STATUSES: [ExceptionStatus; 3] = [ExceptionStatus::Parked, ExceptionStatus::Failed, ExceptionStatus::Unknown];

/// Few deliveries, and ids that two of them share, so that a batch changes most of them several times.
fn change() -> impl Strategy<Value = RowChange> {
    let row = (0..3usize, 0..4u8, -2..3i64, 0..3u64);
    (0..2u32, 0..4u64, 0..2u32, proptest::option::weighted(0.7, row)).prop_map(|(sub, seq, replay, row)| {
        let key = DeliveryKey { sub: SubId(sub), seq, replay };
        let Some((status, id, due, offset)) = row else { return RowChange::Delete(key) };
        let facts = DeliveryFacts {
            delivery: [id; 16],
            position: Position { segment: SegmentId(1), offset },
            seen: Timestamp(0),
            event_id: "e".into(),
            event_type: "a.b".into(),
            order: None,
        };
        let row = ExceptionRow::in_doubt(&facts, Timestamp(0));
        RowChange::Put(key, Box::new(ExceptionRow { status: STATUSES[status], due: Timestamp(due), ..row }))
    })
}

fn view(at: &Path) -> View {
    View::open(&SledTrees as &dyn Trees, &OsFiles, at).unwrap()
}

fn content(view: &View) -> Vec<Pair> {
    view.0.scan(&[]).map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batches_end_as_single_changes_do(changes in proptest::collection::vec(change(), 1..3 * BATCH_ROWS)) {
        let dir = tempfile::tempdir().unwrap();
        let (together, single) = (view(&dir.path().join("together")), view(&dir.path().join("single")));
        together.apply(&changes, 9).unwrap();
        for change in changes {
            single.apply(&[change], 9).unwrap();
        }
        prop_assert_eq!(content(&together), content(&single));
    }
}
