//! `subs`: subscriptions.

use clap::Subcommand;

use super::super::client::segment;
use super::super::context::{Context, View};
use super::super::error::CliError;
use super::super::human::{ago, clean, count, stamp};
use super::super::style::{paint, tone_of};
use super::status::subscriptions;
use crate::admin::api::{Webhook, WebhookAnswer, WebhookList};

/// Look at subscriptions, pause and resume them
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook subs list
  spoolhook subs show oms
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
            let answer = context.get::<WebhookAnswer>(&format!("/v1/webhooks/{}", segment(&name)))?;
            context.show(&answer, |answer, view| show(&answer.webhook, view))
        }
        Action::Pause { name } => change(context, &name, "pause"),
        Action::Resume { name } => change(context, &name, "resume"),
    }
}

fn change(context: &mut Context, name: &str, verb: &str) -> Result<(), CliError> {
    let answer = context.post::<WebhookAnswer>(&format!("/v1/webhooks/{}/{verb}", segment(name)), b"")?;
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
    line("events", &hook.events.join(", "));
    if let Some(condition) = &hook.condition {
        line("where", condition);
    }
    line("dialect", &format!("{}   {}", hook.dialect, hook.mode));
    if let Some(fingerprint) = &hook.secret_fingerprint {
        line("secret", &format!("key {fingerprint}"));
    }
    if let Some(place) = &hook.source_ref {
        line("defined", &format!("{place}   since {}", stamp(&view.zone, hook.date_created)));
    }
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
