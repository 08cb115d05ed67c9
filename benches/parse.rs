//! What taking a line in costs: finding where lines end, judging one, and both together as a lane that reads the log.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use spoolhook::env::OsFiles;
use spoolhook::ingest::{LogReader, lines, parse_line};
use spoolhook::model::{Extent, Position, SegmentId, Timestamp};

const BLOCK_BYTES: usize = 1 << 20;
/// Bytes of `data` in an event.
const SIZES: [usize; 3] = [100, 500, 10_000];

fn main() {
    divan::main();
}

fn line(data_bytes: usize) -> String {
    let note = "x".repeat(data_bytes.saturating_sub(90));
    format!(
        r#"{{"type":"salesOrder.updated","id":"evt-0000000001","time":"2026-03-12T10:00:00Z","data":{{"id":"SO-1","status":"shipped","items":[{{"sku":"A-100","quantity":2,"price":10.5}}],"note":"{note}"}}}}"#
    )
}

fn block(data_bytes: usize) -> (String, usize) {
    let line = line(data_bytes) + "\n";
    let count = BLOCK_BYTES / line.len();
    (line.repeat(count), count)
}

/// A megabyte of lines in memory.
#[divan::bench(args = SIZES)]
fn framing(bencher: divan::Bencher<'_, '_>, data_bytes: usize) {
    let (bytes, count) = block(data_bytes);
    bencher
        .counter(ItemsCount::new(count))
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| assert_eq!(lines(black_box(bytes.as_bytes()), 0, 0, BLOCK_BYTES).count(), count));
}

/// One line becomes an event.
#[divan::bench(args = SIZES)]
fn envelope(bencher: divan::Bencher<'_, '_>, data_bytes: usize) {
    let line = line(data_bytes);
    let position = Position { segment: SegmentId(1), offset: 0 };
    bencher
        .counter(BytesCount::new(line.len()))
        .bench_local(|| parse_line(black_box(line.as_bytes()), position, 1, Timestamp(0)).expect("an event"));
}

/// An extent of a megabyte is read again from its segment.
#[divan::bench(args = SIZES)]
fn read_extent(bencher: divan::Bencher<'_, '_>, data_bytes: usize) {
    let (bytes, count) = block(data_bytes);
    let spool = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let segment = SegmentId::next(Timestamp(1_773_309_600_000), None, 1);
    let claimed = spool.path().join("claimed");
    fs::create_dir_all(&claimed).expect("a directory");
    fs::create_dir_all(spool.path().join("archive")).expect("a directory");
    fs::write(claimed.join(format!("{segment}~bench.ndjson")), &bytes).expect("a segment");
    let extent = Extent {
        segment,
        start: 0,
        end: bytes.len() as u64,
        first_seq: 1,
        events: u32::try_from(count).expect("a few thousand"),
        blank: 0,
        quarantined: 0,
        seen: Timestamp(0),
    };
    let reader = reader(spool.path());
    bencher
        .counter(ItemsCount::new(count))
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| assert_eq!(reader.read(&extent, 1).expect("events").len(), count));
}

fn reader(spool: &Path) -> LogReader {
    LogReader::new(Arc::new(OsFiles), spool)
}
