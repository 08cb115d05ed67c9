//! Mistakes made on purpose: what the simulation must notice. Each is one that an engine of this kind could make.

use crate::store::{Record, Verdict};

/// One deliberate mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Lines are taken in, and sent, before they are synced.
    SpoolNotSynced,
    /// Commits are believed before they are synced.
    JournalNotSynced,
    /// New names are believed before their directory is synced.
    DirectoriesNotSynced,
    /// Rejected lines are passed before their record is synced.
    QuarantineNotSynced,
    CheckpointNotSynced,
    /// A failed sync is taken for a good one.
    SyncErrorsIgnored,
    /// An at-most-once delivery is sent before its claim is durable.
    SentBeforeClaim,
    /// At-most-once deliveries are not claimed at all.
    NoClaims,
    /// A delivery counts as delivered before it is sent.
    OutcomeBeforeSend,
    /// The low mark passes deliveries without an outcome.
    LowMarkTooHigh,
    /// Segments go while somebody still has to read them.
    PurgedBeforeSettled,
    /// A delivery whose retries are exhausted is forgotten.
    ExhaustedForgotten,
    /// Rows do not always reach the view.
    ViewRowsLost,
    /// After the state was lost, at-most-once deliveries of old segments are sent as if new.
    BarrierForgotten,
    /// The HTTP client sends again by itself.
    ClientResends,
    FailureTakenForSuccess,
    /// A file counts as finished while somebody has it open for writing.
    WritersIgnored,
    /// Retries run on the wall clock.
    WallClockDues,
    /// A claim is released though its delivery may be on its way.
    ReleasedTooSoon,
    /// Pausing does not stop what waits.
    PauseIgnored,
    /// Deliveries of a key do not wait for each other.
    OrderIgnored,
}

impl Mistake {
    pub const ALL: [Self; 21] = [
        Self::SpoolNotSynced,
        Self::JournalNotSynced,
        Self::DirectoriesNotSynced,
        Self::QuarantineNotSynced,
        Self::CheckpointNotSynced,
        Self::SyncErrorsIgnored,
        Self::SentBeforeClaim,
        Self::NoClaims,
        Self::OutcomeBeforeSend,
        Self::LowMarkTooHigh,
        Self::PurgedBeforeSettled,
        Self::ExhaustedForgotten,
        Self::ViewRowsLost,
        Self::BarrierForgotten,
        Self::ClientResends,
        Self::FailureTakenForSuccess,
        Self::WritersIgnored,
        Self::WallClockDues,
        Self::ReleasedTooSoon,
        Self::PauseIgnored,
        Self::OrderIgnored,
    ];

    /// It shows in one seed of some hundreds: several kinds of trouble must come together.
    pub fn is_rare(self) -> bool {
        matches!(
            self,
            Self::CheckpointNotSynced | Self::SyncErrorsIgnored | Self::BarrierForgotten | Self::WallClockDues
        )
    }
}

/// Makes a mistake in what is about to be written.
pub fn spoil(records: &mut Vec<Record>, mistake: Mistake, next_seq: u64) {
    match mistake {
        Mistake::NoClaims => records.retain(|record| !matches!(record, Record::Claimed { .. })),
        Mistake::ReleasedTooSoon => {
            let released = |record: &Record| match record {
                Record::Claimed { key, .. } => Some(Record::Released { key: *key }),
                _ => None,
            };
            let too_soon: Vec<_> = records.iter().filter_map(released).collect();
            records.extend(too_soon);
        }
        Mistake::ExhaustedForgotten => records
            .retain(|record| !matches!(record, Record::Attempted { verdict: Verdict::Failed, attempt, .. } if attempt.number > 1)),
        Mistake::LowMarkTooHigh => {
            for record in records {
                if let Record::Attempted { low, .. } = record {
                    *low = next_seq;
                }
            }
        }
        _ => {}
    }
}
