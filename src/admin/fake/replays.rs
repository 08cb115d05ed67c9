//! Replays and requests of the fake engine.

use super::NOON;
use crate::admin::api::*;
use crate::admin::control::ReplayOutcome;

pub fn replay_job() -> ReplayJob {
    ReplayJob {
        id: "rpl_1".into(),
        status: ReplayStatus::Done,
        filter: ReplayFilter::default(),
        rate: Some("20/s".into()),
        order: ReplayDirection::Oldest,
        created_at: NOON,
        created_by: "socket".into(),
        matched: 312,
        sent: 312,
        delivered: 304,
        failed: 8,
        pending: 0,
        skipped: 0,
        cancelled: 0,
        eta_s: None,
        finished_at: Some(NOON),
    }
}

/// What an order leads to whose ids were answered for like this.
pub fn started(order: &ReplayOrder, rows: Vec<ReplayRow>) -> ReplayOutcome {
    if order.dry_run {
        let types = [("payment.created".to_owned(), 312)].into();
        let (oldest, newest) = (Some(NOON), Some(NOON));
        return ReplayOutcome::Preview(ReplayPreview { count: 312, oldest, newest, types, ..ReplayPreview::default() });
    }
    let accepted = rows.iter().filter(|row| row.accepted).count();
    ReplayOutcome::Job(Box::new(ReplayAnswer {
        result: if accepted == rows.len() { "success" } else { "error" }.into(),
        message: format!("{accepted} of {} accepted.", rows.len()),
        job: (accepted > 0 || rows.is_empty()).then(replay_job),
        data: rows,
        original_failure_count: None,
        retriggered_count: None,
    }))
}

pub fn request(url: String) -> RequestView {
    RequestView {
        method: "POST".into(),
        url,
        headers: vec![("Authorization".into(), "***".into())],
        body: "{}".into(),
        body_bytes: 2,
        body_truncated: false,
        source: "rendered".into(),
    }
}
