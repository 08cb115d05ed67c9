//! `replay`: send deliveries again.

use clap::Subcommand;

use super::super::client::Answer;
use super::super::context::{Context, View};
use super::super::error::{CliError, ExitKind};
use super::super::human::{clean, count, plural, span, stamp};
use super::super::prompt::confirm;
use super::super::style::{Tone, paint};
use super::replay_jobs::{self, follow};
use crate::admin::api::{ReplayAnswer, ReplayDirection, ReplayOrder, ReplayPreview};
use crate::model::When;

/// Send deliveries again
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    before_help = "Examples:
  spoolhook replay 0199e3c1                now, without waiting for the next retry
  spoolhook replay 0199e3c1 0199e3c2 --yes
  spoolhook replay --subscription oms --since 2h --dry-run
  spoolhook replay --subscription oms --since 2h --rate 20/s --yes --wait
  spoolhook replay list
  spoolhook replay show rpl_01a0b1c2d3e4f5a6b7c8
  spoolhook replay cancel rpl_01a0b1c2d3e4f5a6b7c8"
)]
pub struct Args {
    #[command(subcommand)]
    job: Option<Job>,
    /// Delivery ids, or unique prefixes of at least 6 characters
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// At most so fast: 20/s, 100/m
    #[arg(long)]
    rate: Option<String>,
    /// Which of a subscription's deliveries go first
    #[arg(long, value_enum, default_value = "oldest")]
    order: Direction,
    /// Count what would be sent, and send nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask; a receiver may then see a delivery twice whose fate is not known
    #[arg(short, long)]
    yes: bool,
    /// Stay until everything that was sent has its end
    #[arg(long)]
    wait: bool,
}

/// Looking after replays of many deliveries.
#[derive(Debug, Subcommand)]
pub enum Job {
    /// Replays, newest first
    List(replay_jobs::ListArgs),
    /// How far one is
    Show { id: String },
    /// Send nothing more of one
    Cancel { id: String },
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// NAME, TENANT/NAME or number
    #[arg(long, value_name = "NAME")]
    subscription: Option<String>,
    /// failed (as without it), unknown, pending; several with commas
    #[arg(long)]
    status: Option<String>,
    /// Event type; `*` is one segment, `**` any number
    #[arg(long = "type", value_name = "PATTERN")]
    event_type: Option<String>,
    #[arg(long)]
    tenant: Option<String>,
    /// Class of the last attempt's result, such as http_5xx or refused; several with commas
    #[arg(long)]
    outcome: Option<String>,
    /// Only of this event
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// Created from this instant, or this long ago: 15m, 2h
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    since: Option<When>,
    /// Before this instant, likewise
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Direction {
    Oldest,
    Newest,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    if let Some(job) = args.job {
        return replay_jobs::run(job, context);
    }
    let now = context.now();
    let instant = |when: Option<When>| when.map(|when| when.at(now).to_string());
    let filter = args.filter;
    let order = ReplayOrder {
        ids: args.ids,
        subscription: filter.subscription,
        status: filter.status,
        event_type: filter.event_type,
        tenant: filter.tenant,
        outcome: filter.outcome,
        event_id: filter.event_id,
        since: instant(filter.since),
        until: instant(filter.until),
        rate: args.rate,
        order: match args.order {
            Direction::Oldest => ReplayDirection::Oldest,
            Direction::Newest => ReplayDirection::Newest,
        },
        consent: args.yes,
        ..ReplayOrder::default()
    };
    if order.ids.is_empty() && !order.has_filter() {
        return Err(CliError::new(ExitKind::Usage, "it is not said what to replay")
            .help("name ids, or a filter such as --subscription, --status or --since; see spoolhook replay --help"));
    }
    if args.dry_run {
        let preview = preview(context, &order)?;
        return context.show(&preview, |preview, view| would(preview, &order, view));
    }
    match order.ids.is_empty() {
        true => by_filter(order, args.yes, args.wait, context),
        false => by_ids(order, args.yes, args.wait, context),
    }
}

fn preview(context: &mut Context, order: &ReplayOrder) -> Result<Answer<ReplayPreview>, CliError> {
    send(context, &ReplayOrder { dry_run: true, ..order.clone() })
}

fn send<T: serde::de::DeserializeOwned>(context: &mut Context, order: &ReplayOrder) -> Result<Answer<T>, CliError> {
    let body = serde_json::to_vec(order).expect("an order serialises");
    context.post("/v1/replays", &body)
}

fn by_ids(order: ReplayOrder, yes: bool, wait: bool, context: &mut Context) -> Result<(), CliError> {
    let ids = order.ids.len();
    if ids > 1 && !yes && !confirm(&mut context.out, &format!("Replay {ids} deliveries?")) {
        return Err(unasked(ids as u64, 0));
    }
    let mut answer = send::<ReplayAnswer>(context, &order)?;
    let doubtful = answer.value.data.iter().any(|row| row.reason.as_deref() == Some("consent_required"));
    if doubtful && confirm(&mut context.out, "It is not known whether the receiver has this already. Send it again?") {
        answer = send(context, &ReplayOrder { consent: true, ..order })?;
    }
    let all_accepted = answer.value.data.iter().all(|row| row.accepted);
    if wait && let Some(job) = &answer.value.job {
        if context.out.is_human() {
            context.out.text(&render(&answer.value))?;
        }
        follow(job, context)?;
    } else {
        context.show_list(&answer, "data", |answer, _| render(answer))?;
    }
    match all_accepted {
        true => Ok(()),
        false => Err(CliError::silent(ExitKind::No)),
    }
}

fn by_filter(order: ReplayOrder, yes: bool, wait: bool, context: &mut Context) -> Result<(), CliError> {
    let preview = preview(context, &order)?.value;
    let asked = question(&preview, &order);
    let needs_asking = preview.count > 1 || preview.at_most_once > 0;
    if needs_asking && !yes && !confirm(&mut context.out, &asked) {
        return Err(unasked(preview.count, preview.at_most_once));
    }
    // Whoever answered the question answered it for this number.
    let expect_count = (!yes).then_some(preview.count);
    let order = ReplayOrder { expect_count, consent: yes || preview.at_most_once > 0, ..order };
    let answer = send::<ReplayAnswer>(context, &order)?;
    let Some(job) = &answer.value.job else { return context.show(&answer, |answer, _| render(answer)) };
    if wait || context.out.is_watched() && job.matched > 1 {
        return follow(job, context);
    }
    context.show(&answer, |answer, _| {
        let id = answer.job.as_ref().map_or("", |job| &job.id);
        format!("{}\nreplay {id}     spoolhook replay show {id}\n", clean(&answer.message))
    })
}

fn deliveries(number: u64) -> String {
    plural(number, "delivery")
}

fn unasked(number: u64, at_most_once: u64) -> CliError {
    let error = CliError::new(ExitKind::Usage, format!("{} not replayed", deliveries(number)));
    match at_most_once {
        0 => error.help("say --yes to replay more than one without being asked"),
        count => error.help(format!(
            "{count} at-most-once: the receiver may get those a second time; say --yes to replay them all the same"
        )),
    }
}

fn question(preview: &ReplayPreview, order: &ReplayOrder) -> String {
    let to = match &order.subscription {
        Some(name) => format!(" to {}", clean(name)),
        None => format!(" to {}", plural(preview.subscriptions.len() as u64, "subscription")),
    };
    let doubt = match preview.at_most_once {
        0 => String::new(),
        some => format!(" {} of them at-most-once: receivers may get those a second time.", count(some)),
    };
    format!("Replay {}{to}?{doubt}", deliveries(preview.count))
}

/// What a dry run says.
fn would(preview: &ReplayPreview, order: &ReplayOrder, view: &View) -> String {
    let list = |counts: &std::collections::BTreeMap<String, u64>| {
        let mut counts: Vec<_> = counts.iter().collect();
        counts.sort_by_key(|(_, number)| std::cmp::Reverse(**number));
        let shown: Vec<_> =
            counts.iter().take(8).map(|(name, number)| format!("{} {}", clean(name), count(**number))).collect();
        let more =
            if counts.len() > shown.len() { format!(", {} more", counts.len() - shown.len()) } else { String::new() };
        format!("{}{more}", shown.join(", "))
    };
    let mut text = format!("would replay {}\n", deliveries(preview.count));
    if let (Some(oldest), Some(newest)) = (preview.oldest, preview.newest) {
        text.push_str(&format!("  oldest {}   newest {}\n", stamp(&view.zone, oldest), stamp(&view.zone, newest)));
        text.push_str(&format!("  to     {}\n  types  {}\n", list(&preview.subscriptions), list(&preview.types)));
    }
    if let Some(seconds) = preview.estimate_s {
        let rate = order.rate.as_ref().map_or("the subscriptions' own pace".to_owned(), |rate| clean(rate));
        let length = span(std::time::Duration::from_secs(seconds));
        text.push_str(&format!("  at {rate} this takes about {length}\n"));
    }
    text.push_str(&format!("  at-most-once: {}\n", count(preview.at_most_once)));
    text.push_str("run again without --dry-run to start\n");
    text
}

fn render(answer: &ReplayAnswer) -> String {
    let mut text = String::new();
    for row in &answer.data {
        let word = if row.accepted { paint(Tone::Good, "accepted") } else { paint(Tone::Bad, "refused ") };
        let hint = match row.reason.as_deref() {
            Some("consent_required") => "   say --yes to send it all the same",
            _ => "",
        };
        let id = row.delivery_id.as_deref().unwrap_or(&row.id);
        text.push_str(&format!("{word}  {}  {}{hint}\n", clean(id), clean(&row.message)));
    }
    text
}
