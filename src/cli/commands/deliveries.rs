//! `deliveries`: the delivery log.

use clap::Subcommand;

use super::super::client::{query, segment};
use super::super::context::{Context, View};
use super::super::error::{CliError, ExitKind};
use super::super::human::{ago, ahead, bytes, clean, clock, fine_clock, stamp};
use super::super::style::{Tone, paint, tone_of};
use super::super::table::{Align, Cell, Table};
use crate::admin::api::{AttemptDetail, CancelAnswer, Delivery, DeliveryDetail, DeliveryPage};
use crate::model::{DeliveryStatus, Outcome, When};

/// Look at deliveries and their attempts
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "d",
    before_help = "Examples:
  spoolhook deliveries list --status failed --since 2h
  spoolhook deliveries list --subscription oms --outcome http_5xx,refused
  spoolhook deliveries show 0199e3c1        any unique prefix of at least 6 characters
  spoolhook deliveries cancel 0199e3c1"
)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Deliveries, newest first
    List(Box<Filter>),
    /// One delivery with every attempt
    Show { id: String },
    /// End deliveries that wait: they are not sent any more
    Cancel {
        /// Delivery ids, or unique prefixes of at least 6 characters
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// pending, delivered, failed, cancelled, unknown, expired; several with commas
    #[arg(long)]
    status: Option<String>,
    /// Class of the last attempt's result, such as http_5xx or refused; several with commas
    #[arg(long)]
    outcome: Option<String>,
    /// NAME, TENANT/NAME or number
    #[arg(long, value_name = "NAME")]
    subscription: Option<String>,
    /// Event type; `*` is one segment, `**` any number
    #[arg(long = "type", value_name = "PATTERN")]
    event_type: Option<String>,
    #[arg(long)]
    tenant: Option<String>,
    /// Status code of the last attempt, or its class: 503, 5xx
    #[arg(long, value_name = "CODE")]
    status_code: Option<String>,
    /// What made the last attempt happen: first, retry, manual
    #[arg(long)]
    trigger: Option<String>,
    /// Only of this event
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// From this instant, or this long ago: 15m, 2h
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    since: Option<When>,
    /// Before this instant, likewise
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Go on where the last page ended
    #[arg(long)]
    cursor: Option<String>,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    match args.action {
        Action::List(filter) => {
            let answer = context.get::<DeliveryPage>(&path(*filter, &context.view()))?;
            context.show_list(&answer, "data", |page, view| list(&page.data, view))?;
            match &answer.value.next_cursor {
                Some(cursor) if answer.value.has_more && context.out.is_human() => {
                    if answer.value.partial {
                        context.out.say("the history is long and little of it fits; there may be more further back");
                    }
                    context.out.say(&format!("more: the same command with --cursor {cursor}"));
                }
                _ => {}
            }
            Ok(())
        }
        Action::Show { id } => {
            let answer = context.get::<DeliveryDetail>(&format!("/v1/deliveries/{}", segment(&id)))?;
            context.show(&answer, show)
        }
        Action::Cancel { ids } => cancel(&ids, context),
    }
}

/// Cancels one by one; what one id leads to does not change another's.
fn cancel(ids: &[String], context: &mut Context) -> Result<(), CliError> {
    let mut refused = None;
    for id in ids {
        match context.post::<CancelAnswer>(&format!("/v1/deliveries/{}/cancel", segment(id)), b"") {
            Ok(answer) => context.show(&answer, |answer, _| format!("cancelled  {}\n", clean(&answer.id)))?,
            Err(error) if error.kind == ExitKind::No => {
                context.out.fault(&CliError::new(ExitKind::No, format!("{id}: {}", error.message)));
                refused = Some(CliError::silent(ExitKind::No));
            }
            Err(error) => return Err(error),
        }
    }
    refused.map_or(Ok(()), Err)
}

fn path(filter: Filter, view: &View) -> String {
    let instant = |when: Option<When>| when.map(|when| when.at(view.now).to_string());
    query(
        "/v1/deliveries",
        [
            ("status", filter.status),
            ("outcome", filter.outcome),
            ("subscription", filter.subscription),
            ("type", filter.event_type),
            ("tenant", filter.tenant),
            ("event_id", filter.event_id),
            ("status_code", filter.status_code),
            ("trigger", filter.trigger),
            ("since", instant(filter.since)),
            ("until", instant(filter.until)),
            ("limit", Some(filter.limit.to_string())),
            ("cursor", filter.cursor),
        ],
    )
}

fn list(deliveries: &[Delivery], view: &View) -> String {
    let mut table = Table::new(&[
        ("WHEN", Align::Left),
        ("STATUS", Align::Left),
        ("TYPE", Align::Left),
        ("SUBSCRIPTION", Align::Left),
        ("RESULT", Align::Left),
        ("TRIES", Align::Right),
        ("NEXT", Align::Left),
        ("ID", Align::Left),
    ]);
    for delivery in deliveries {
        let result = match (delivery.status_code, delivery.outcome) {
            (Some(code), _) => code.to_string(),
            (None, Some(outcome)) => outcome.as_str().to_owned(),
            (None, None) => "-".to_owned(),
        };
        table.row([
            ago(view.now, Some(delivery.last_attempt_at.unwrap_or(delivery.created_at))).into(),
            Cell::new(tone_of(delivery.status.as_str()), delivery.status.as_str()),
            delivery.event_type.as_str().into(),
            format!("{}/{}", delivery.tenant, delivery.subscription).into(),
            result.into(),
            delivery.attempts.to_string().into(),
            delivery.next_attempt_at.map_or("-".to_owned(), |next| ahead(view.now, next)).into(),
            delivery.id.as_str().into(),
        ]);
    }
    match deliveries.is_empty() {
        true => "no deliveries\n".to_owned(),
        false => table.render(),
    }
}

fn show(detail: &DeliveryDetail, view: &View) -> String {
    let delivery = &detail.delivery;
    let status = delivery.status.as_str();
    let mut text = format!(
        "delivery  {}\nevent     {} ({})\nto        {}/{}   {}   {}, {}\nstatus    {} ({} of {} attempts used)\n\
         log       {} at byte {}\nmade      {}\n",
        delivery.id,
        clean(&delivery.event_type),
        clean(&delivery.event_id),
        clean(&delivery.tenant),
        clean(&delivery.subscription),
        clean(&detail.url),
        detail.dialect,
        detail.mode,
        paint(tone_of(status), status),
        delivery.attempts,
        detail.max_attempts,
        detail.segment,
        detail.offset,
        stamp(&view.zone, delivery.created_at),
    );
    if let Some(next) = delivery.next_attempt_at {
        text.push_str(&format!("next      {} ({})\n", clock(&view.zone, next), ahead(view.now, next)));
    }
    text.push('\n');
    text.push_str(&attempts(&detail.attempt_log, view));
    if let Some(last) = detail.attempt_log.last() {
        text.push_str(&exchange(last));
    }
    text.push_str(&format!("why       {}\n", clean(&detail.why)));
    if delivery.status != DeliveryStatus::Delivered {
        text.push_str(&format!("try       spoolhook replay {}\n", delivery.id));
    }
    text
}

fn attempts(log: &[AttemptDetail], view: &View) -> String {
    let mut table = Table::new(&[
        ("ATTEMPT", Align::Left),
        ("WHEN", Align::Left),
        ("RESULT", Align::Left),
        ("TIME", Align::Right),
        ("TRIGGER", Align::Left),
    ]);
    for attempt in log {
        let tone = if attempt.outcome == Outcome::Success { Tone::Good } else { Tone::Bad };
        let result = match (&attempt.error, attempt.status_code) {
            (Some(error), _) => error.clone(),
            (None, Some(code)) => code.to_string(),
            (None, None) => attempt.outcome.as_str().to_owned(),
        };
        table.row([
            attempt.number.to_string().into(),
            fine_clock(&view.zone, attempt.started_at).into(),
            Cell::new(tone, result),
            format!("{} ms", attempt.duration_ms).into(),
            attempt.trigger.as_str().into(),
        ]);
    }
    match log.is_empty() {
        true => String::new(),
        false => format!("{}\n", table.render()),
    }
}

fn exchange(attempt: &AttemptDetail) -> String {
    let mut text = match attempt.request_bytes {
        // Of an attempt that nobody saw the end of, nobody knows how much went out.
        0 if attempt.outcome == Outcome::Unknown => "request   may have been sent\n".to_owned(),
        0 => "request   nothing was sent\n".to_owned(),
        sent => format!("request   {} sent to {}\n", bytes(sent), clean(&attempt.remote_address)),
    };
    if let Some(code) = attempt.status_code {
        let body: String = attempt.response_body.chars().take(200).collect();
        text.push_str(&format!("response  {code}  \"{}\"\n", clean(&body)));
    }
    text
}
