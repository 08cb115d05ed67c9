//! The events of several extents at once: those that touch are read in one go.

use crate::env::ReadFile;
use crate::model::{Event, Extent, Position};

use super::framing::Content;
use super::lookup::lines_between;
use super::reader::ReadError;
use super::record::parse_line;

/// Extents that hold events, by segment, each with those that touch it.
pub(super) fn runs(extents: &[Extent]) -> Vec<Vec<Extent>> {
    let mut extents: Vec<Extent> = extents.iter().filter(|extent| extent.events > 0).copied().collect();
    extents.sort_by_key(|extent| (extent.segment, extent.start));
    extents.chunk_by(|a, b| a.segment == b.segment && a.end == b.start).map(<[Extent]>::to_vec).collect()
}

/// Reads a run of one segment, numbered as the first time.
pub(super) fn read_run(file: &dyn ReadFile, run: &[Extent], events: &mut Vec<Event>) -> Result<(), ReadError> {
    let known = events.len();
    match read_touching(file, run, events) {
        // A line without LF that was taken in because its file had ended, and then the file grew: one by one it reads.
        Err(ReadError::Changed { .. } | ReadError::NotAnEvent { .. }) if run.len() > 1 => {
            events.truncate(known);
            run.iter().try_for_each(|extent| read_touching(file, &[*extent], events))
        }
        result => result,
    }
}

fn read_touching(file: &dyn ReadFile, run: &[Extent], events: &mut Vec<Event>) -> Result<(), ReadError> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
    let segment = first.segment;
    let mut found = vec![0; run.len()];
    let mut at = 0;
    let mut first_bad = None;
    lines_between(file, first.start, last.end, |line| {
        while line.start >= run[at].end && at + 1 < run.len() {
            at += 1;
        }
        let Content::Text(text) = line.content else { return };
        let position = Position { segment, offset: line.start };
        match parse_line(text, position, run[at].first_seq + u64::from(found[at]), run[at].seen) {
            Ok(event) => {
                events.push(event);
                found[at] += 1;
            }
            Err(rejection) => {
                first_bad.get_or_insert(ReadError::NotAnEvent { position, rejection });
            }
        }
    })
    .map_err(|source| ReadError::Io { segment, source })?;
    if let Some(error) = first_bad {
        return Err(error);
    }
    match run.iter().zip(found).find(|(extent, found)| extent.events != *found) {
        Some((extent, found)) => {
            Err(ReadError::Changed { segment, start: extent.start, end: extent.end, expected: extent.events, found })
        }
        None => Ok(()),
    }
}
