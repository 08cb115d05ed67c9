//! `token`: who may use the API over TCP.

use clap::{Subcommand, ValueEnum};

use super::super::client::{query, segment};
use super::super::context::{Context, View};
use super::super::error::CliError;
use super::super::human::{clean, stamp};
use super::super::table::{Align, Table};
use crate::admin::Scope;
use crate::admin::api::{NewToken, Page, Token, TokenAnswer};

/// Make, list and revoke the tokens of the API
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook token create monitor > monitor.token     with umask 077: it is for you alone
  spoolhook token create acme-admin --scope admin --tenant acme > acme.token
  spoolhook token list
  spoolhook token revoke monitor

A token is printed once and kept as a hash. Use it with --token-file, or as Authorization: Bearer TOKEN.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make one; it goes to standard output, alone
    Create {
        /// Under which its changes are recorded: letters, digits, . _ -
        name: String,
        /// What it may do; each includes those before it
        #[arg(long, value_enum, default_value = "read")]
        scope: ScopeName,
        /// The one tenant it sees [default: all]
        #[arg(long)]
        tenant: Option<String>,
    },
    /// All of them, without what proves them
    List,
    /// Nobody comes in with it any more
    Revoke {
        /// NAME or id
        name: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScopeName {
    /// See what is delivered and how the engine does, change nothing
    Read,
    /// Have deliveries sent again, or cancelled
    Replay,
    /// Everything
    Admin,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Read => Self::Read,
            ScopeName::Replay => Self::Replay,
            ScopeName::Admin => Self::Admin,
        }
    }
}

/// Tokens asked for at a time.
const PAGE: usize = 200;

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    match args.action {
        Action::Create { name, scope, tenant } => create(context, NewToken { name, scope: scope.into(), tenant }),
        Action::List => list(context),
        Action::Revoke { name } => {
            let path = format!("/v1/tokens/{}", segment(&name));
            let answer = context.engine()?.call("DELETE", &path, b"")?.read::<TokenAnswer>()?;
            context.show(&answer, |answer, _| format!("revoked {} ({})\n", clean(&answer.about.name), answer.about.id))
        }
    }
}

fn create(context: &mut Context, new: NewToken) -> Result<(), CliError> {
    let body = serde_json::to_vec(&new).expect("strings always serialise");
    let answer = context.post::<TokenAnswer>("/v1/tokens", &body)?;
    context.show(&answer, |answer, _| format!("{}\n", answer.token.as_deref().unwrap_or_default()))?;
    let about = &answer.value.about;
    let sees = about.tenant.as_deref().map_or("all tenants".to_owned(), |tenant| format!("tenant {}", clean(tenant)));
    context.out.say(&format!(
        "token \"{}\" ({}, {sees}, {}...{}) is shown this once; keep it in a file that only you can read",
        about.name,
        about.scope.as_str(),
        about.id,
        about.fingerprint
    ));
    Ok(())
}

fn list(context: &mut Context) -> Result<(), CliError> {
    let mut answer = context.get::<Page<Token>>(&format!("/v1/tokens?limit={PAGE}"))?;
    while let Some(cursor) = answer.value.next_cursor.take() {
        let path = query("/v1/tokens", [("limit", Some(PAGE.to_string())), ("cursor", Some(cursor))]);
        let more = context.get::<Page<Token>>(&path)?.value;
        answer.value.data.extend(more.data);
        (answer.value.next_cursor, answer.value.has_more) = (more.next_cursor, more.has_more);
        answer.json = serde_json::to_vec(&answer.value).expect("strings always serialise");
    }
    context.show_list(&answer, "data", render)
}

fn render(page: &Page<Token>, view: &View) -> String {
    if page.data.is_empty() {
        return "there are no tokens; make one: spoolhook token create NAME --scope admin\n".to_owned();
    }
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("SCOPE", Align::Left),
        ("TENANT", Align::Left),
        ("CREATED", Align::Left),
        ("FINGERPRINT", Align::Left),
        ("ID", Align::Left),
    ]);
    for token in &page.data {
        table.row([
            (&token.name).into(),
            token.scope.as_str().into(),
            token.tenant.as_deref().unwrap_or("all").into(),
            stamp(&view.zone, token.created_at).into(),
            (&token.fingerprint).into(),
            (&token.id).into(),
        ]);
    }
    table.render()
}
