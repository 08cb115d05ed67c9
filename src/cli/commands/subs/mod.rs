//! `subs`: subscriptions. Those of the files are shown and paused here; those made over the API are changed too.

mod change;
mod settings;
mod trial;

use clap::Subcommand;

use super::super::client::segment;
use super::super::context::{Context, View};
use super::super::error::CliError;
use super::super::human::{ago, clean, count, long_span, stamp};
use super::super::style::{paint, tone_of};
use super::status::subscriptions;
use crate::admin::api::{Webhook, WebhookAnswer, WebhookList};

/// Subscriptions: look at them, make and change them, pause and try them
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook subs list
  spoolhook subs show oms
  spoolhook subs add oms --endpoint https://oms.example/hooks --events 'invoice.*,payment.created'
  spoolhook subs set oms --timeout 5s
  spoolhook subs test oms               one request now, outside all books
  spoolhook subs rotate-secret oms --overlap 48h
  spoolhook subs rm oms --confirm oms
  spoolhook subs pause acme/oms     events queue until it is resumed
  spoolhook subs resume acme/oms")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All of them
    List,
    /// One, with everything known about it
    Show {
        /// NAME, TENANT/NAME or number
        name: String,
    },
    /// Make one; it is in force when this returns
    Add(change::AddArgs),
    /// Change what is named, of one that was made with add or over the API
    Set(change::SetArgs),
    /// Remove one that was made with add or over the API
    Rm(change::RmArgs),
    /// Send one request now and say what came of it
    Test(trial::TestArgs),
    /// Sign with a new secret
    RotateSecret(trial::RotateArgs),
    /// Stop sending; events queue
    Pause {
        /// NAME, TENANT/NAME or number
        name: String,
    },
    /// Send again, first what has queued
    Resume {
        /// NAME, TENANT/NAME or number
        name: String,
    },
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    match args.action {
        Action::List => {
            let answer = context.get::<WebhookList>("/v1/webhooks")?;
            context.show_list(&answer, "webhooks", |list, view| subscriptions(&list.webhooks, view))
        }
        Action::Show { name } => {
            let answer = context.get::<WebhookAnswer>(&path(&name))?;
            context.show(&answer, |answer, view| show(&answer.webhook, view))
        }
        Action::Add(args) => change::add(args, context),
        Action::Set(args) => change::set(args, context),
        Action::Rm(args) => change::rm(args, context),
        Action::Test(args) => trial::test(args, context),
        Action::RotateSecret(args) => trial::rotate(args, context),
        Action::Pause { name } => switch(context, &name, "pause"),
        Action::Resume { name } => switch(context, &name, "resume"),
    }
}

/// The path of one subscription.
fn path(name: &str) -> String {
    format!("/v1/webhooks/{}", segment(name))
}

fn switch(context: &mut Context, name: &str, verb: &str) -> Result<(), CliError> {
    let answer = context.post::<WebhookAnswer>(&format!("{}/{verb}", path(name)), b"")?;
    context.show(&answer, |answer, _| {
        let hook = &answer.webhook;
        let state = paint(tone_of(&hook.state), &hook.state);
        format!("{}/{}  {state}  {} pending\n", hook.tenant, hook.name, count(hook.counters.pending))
    })
}

fn show(hook: &Webhook, view: &View) -> String {
    let counters = &hook.counters;
    let state = paint(tone_of(&hook.state), &hook.state);
    let reason = hook.state_reason.as_deref().map(|reason| format!("   {}", clean(reason))).unwrap_or_default();
    let mut text =
        format!("subscription  {}/{} (number {})\nstate         {state}{reason}\n", hook.tenant, hook.name, hook.id);
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<12}  {}\n", clean(value)));
    line("url", &hook.url);
    if let Some(until) = hook.certificate_not_after {
        let left = until.since(view.now);
        let left = if left.is_zero() { "it has ended".to_owned() } else { format!("{} left", long_span(left)) };
        line("certificate", &format!("until {}   {left}", stamp(&view.zone, until)));
    }
    line("events", &hook.events.join(", "));
    if let Some(condition) = &hook.condition {
        line("where", condition);
    }
    line("dialect", &format!("{}   {}", hook.dialect, hook.mode));
    let settings = &hook.settings;
    if !settings.secret_fingerprints.is_empty() {
        let until = settings.secret_overlap_until.map(|until| stamp(&view.zone, until));
        let until = until.map(|until| format!("   the older until {until}")).unwrap_or_default();
        line("secret", &format!("key {}{until}", settings.secret_fingerprints.join(", ")));
    }
    if !settings.headers.is_empty() {
        let headers = settings.headers.iter().map(|(name, key)| format!("{name} (key {key})"));
        line("headers", &headers.collect::<Vec<_>>().join(", "));
    }
    if let Some(oauth2) = &settings.oauth2 {
        line("oauth2", &format!("{} (key {})", oauth2.client_id, oauth2.client_secret_fingerprint));
    }
    let pace = settings.rate_limit.as_ref().map(|rate| format!(", {rate}")).unwrap_or_default();
    line("timeout", &format!("{}   {} in flight{pace}", settings.timeout, settings.max_in_flight));
    let waits = if settings.retry.is_empty() { "none".to_owned() } else { settings.retry.join(", ") };
    line("retry", &waits);
    if let Some(order) = &settings.order_by {
        line("order", &format!("by {order}{}", if settings.supersede { ", the newest only" } else { "" }));
    }
    let place = hook.source_ref.as_deref().unwrap_or("over the API");
    line("defined", &format!("{place}   since {}", stamp(&view.zone, hook.date_created)));
    let ok = ago(view.now, counters.last_success_at);
    line("attempts ok", &format!("{}   last {ok}", count(counters.success_count)));
    let error = counters.last_error.as_deref().unwrap_or_default();
    let last = ago(view.now, counters.last_error_at);
    line("errors", format!("{}   last {last}   {error}", count(counters.error_count)).trim_end());
    line("pending", &count(counters.pending));
    text.push_str(&format!(
        "\nits deliveries: spoolhook deliveries list --subscription {}/{}\n",
        hook.tenant, hook.name
    ));
    text
}
