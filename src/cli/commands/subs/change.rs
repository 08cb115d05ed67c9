//! `subs add`, `subs set`, `subs rm`.

use clap::Args;
use serde_json::Value;

use super::super::super::client::{Answer, query};
use super::super::super::context::Context;
use super::super::super::error::{CliError, ExitKind};
use super::super::super::human::{clean, plural};
use super::super::super::prompt::ask;
use super::path;
use super::settings::Settings;
use crate::admin::api::{FieldFault, WebhookAnswer, WebhookChanged, WebhookCreated};

/// Arguments of `subs add`
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name, unique within the tenant
    name: String,
    /// Where deliveries go
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// Whose events [default: default]
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Where in the log it begins: now, beginning or RFC 3339 [default: now]
    #[arg(long, value_name = "PLACE")]
    start: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// Say whether it could be made, and make nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Arguments of `subs set`
#[derive(Debug, Args)]
pub struct SetArgs {
    /// NAME, TENANT/NAME or number
    name: String,
    /// Where deliveries go
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// Take a member back to its default: where, retry, headers ...; may be repeated
    #[arg(long, value_name = "MEMBER")]
    clear: Vec<String>,
    /// Say whether it could be changed, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Arguments of `subs rm`
#[derive(Debug, Args)]
pub struct RmArgs {
    /// NAME, TENANT/NAME or number
    name: String,
    /// The name once more; asked for on a terminal
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Say what would go, and remove nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// `path?dry_run=true` for a trial.
fn with_trial(path: &str, dry_run: bool) -> String {
    query(path, [("dry_run", dry_run.then(|| "true".to_owned()))])
}

/// What is remarkable goes to stderr.
fn warn(context: &mut Context, warnings: &[FieldFault]) {
    for warning in warnings {
        let help = warning.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
        context.out.say(&clean(&format!("warning: {}{help}", warning.detail)));
    }
}

pub fn add(args: AddArgs, context: &mut Context) -> Result<(), CliError> {
    let brings_secret = args.settings.brings_secret();
    let mut members = args.settings.members()?;
    members.insert("name".to_owned(), args.name.into());
    members.insert("url".to_owned(), args.endpoint.into());
    for (name, value) in [("tenant", args.tenant), ("start", args.start)] {
        if let Some(value) = value {
            members.insert(name.to_owned(), value.into());
        }
    }
    let body = Value::Object(members).to_string();
    let path = with_trial("/v1/webhooks", args.dry_run);
    if args.dry_run {
        let answer = context.post::<WebhookChanged>(&path, body.as_bytes())?;
        return tell(context, &answer);
    }
    let answer = context.post::<WebhookCreated>(&path, body.as_bytes())?;
    warn(context, &answer.value.warnings);
    context.show(&answer, |answer, _| {
        let hook = &answer.webhook;
        let mut text = format!(
            "{}/{}  number {}  {}  {}\n",
            clean(&hook.tenant),
            clean(&hook.name),
            hook.id,
            hook.dialect,
            clean(&hook.url)
        );
        if let Some(secret) = answer.secret.as_ref().filter(|_| !brings_secret) {
            text.push_str(&format!(
                "secret  {}\n        shown this once: the receiver checks with it\n",
                secret.expose()
            ));
        }
        text
    })
}

pub fn set(args: SetArgs, context: &mut Context) -> Result<(), CliError> {
    let mut members = args.settings.members()?;
    if let Some(url) = args.endpoint {
        members.insert("url".to_owned(), url.into());
    }
    members.extend(args.clear.into_iter().map(|member| (member, Value::Null)));
    if members.is_empty() {
        return Err(CliError::new(ExitKind::Usage, "nothing is to be changed")
            .help("say what: --endpoint, --events, --timeout ..."));
    }
    let body = Value::Object(members).to_string();
    let answer = context.engine()?.call("PUT", &with_trial(&path(&args.name), args.dry_run), body.as_bytes())?;
    let answer = answer.read::<WebhookChanged>()?;
    tell(context, &answer)
}

pub fn rm(args: RmArgs, context: &mut Context) -> Result<(), CliError> {
    let found = context.get::<WebhookAnswer>(&path(&args.name))?.value.webhook;
    let named = format!("{}/{}", found.tenant, found.name);
    let waiting = match found.counters.pending {
        1 => "1 delivery waits".to_owned(),
        several => format!("{} wait", plural(several, "delivery")),
    };
    if args.dry_run {
        return context.out.text(&format!("{} would go; {waiting} for it\n", clean(&named)));
    }
    let question = format!("{} goes, and {waiting} for it. Its name:", clean(&named));
    let confirmed = args.confirm.or_else(|| ask(&mut context.out, &question));
    match confirmed {
        Some(name) if name == found.name || name == named => {}
        Some(_) => return Err(CliError::new(ExitKind::Usage, format!("that is not its name: {named} stays"))),
        None => {
            let help = format!("say --confirm {}", found.name);
            return Err(CliError::new(ExitKind::Usage, format!("{named} was not removed")).help(help));
        }
    }
    let answer = context.engine()?.call("DELETE", &path(&found.id.to_string()), b"")?.read::<WebhookChanged>()?;
    tell(context, &answer)
}

fn tell(context: &mut Context, answer: &Answer<WebhookChanged>) -> Result<(), CliError> {
    warn(context, &answer.value.warnings);
    context.show(answer, |answer, _| format!("{}\n", clean(&answer.message)))
}
