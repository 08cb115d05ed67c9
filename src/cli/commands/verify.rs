//! `verify`: does a signature fit a body?

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::context::Context;
use super::super::error::{CliError, ExitKind};
use super::super::glue::signature::{self, Verdict};
use super::super::human::clean;
use super::super::secret;
use super::super::style::{Tone, paint};

/// Check the signature of a body; 1 when it does not fit
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook verify --dialect umbra --secret-file key -H 'X-Webhook-Signature: 5f2c...' < body.json
  spoolhook verify --secret-file key -H \"$(cat headers.txt)\" -d @body.json")]
pub struct Args {
    /// Whose signature [default: told by the headers]
    #[arg(long)]
    dialect: Option<String>,
    /// The secret, in a file; may be repeated
    #[arg(long, value_name = "FILE", required = true)]
    secret_file: Vec<PathBuf>,
    /// A header of the request, `Name: value`; may be repeated, or hold several lines
    #[arg(short = 'H', long = "header", value_name = "HEADER", required = true)]
    headers: Vec<String>,
    /// The body, exactly as it came; @FILE reads a file, - standard input
    #[arg(short, long, value_name = "BODY", default_value = "-")]
    data: String,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let headers = parse_headers(&args.headers)?;
    let secrets = args.secret_file.iter().map(|file| secret::read(file)).collect::<Result<Vec<_>, _>>()?;
    let verdict = signature::verify(args.dialect.as_deref(), &headers, &body(&args.data)?, &secrets, context.now())?;
    report(&verdict, context)
}

fn report(verdict: &Verdict, context: &mut Context) -> Result<(), CliError> {
    let (good, detail) = match verdict {
        Verdict::Good(text) => (true, text.as_str()),
        Verdict::Bad(reason) => (false, reason.as_str()),
        Verdict::NotChecked => (false, "this dialect does not sign"),
    };
    let text = match good {
        true => paint(Tone::Good, detail),
        false => format!("{}: {}", paint(Tone::Bad, "signature does not fit"), clean(detail)),
    };
    let json = json!({"valid": good, "detail": detail});
    match context.out.is_human() {
        true => context.out.text(&format!("{text}\n"))?,
        false => context.out.document(json.to_string().as_bytes())?,
    }
    if good { Ok(()) } else { Err(CliError::silent(ExitKind::No)) }
}

fn parse_headers(arguments: &[String]) -> Result<Vec<(String, String)>, CliError> {
    let lines = arguments.iter().flat_map(|argument| argument.lines()).filter(|line| !line.trim().is_empty());
    lines
        .map(|line| match line.split_once(':') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None => {
                Err(CliError::new(ExitKind::Usage, format!("\"{line}\" is not a header"))
                    .help("write -H 'Name: value'"))
            }
        })
        .collect()
}

/// The bytes of a body: an argument, a file after `@`, or standard input.
pub fn body(argument: &str) -> Result<Vec<u8>, CliError> {
    match argument.strip_prefix('@') {
        Some(path) if path != "-" => {
            std::fs::read(path).map_err(|error| CliError::file("read", Path::new(path), &error))
        }
        None if argument != "-" => Ok(argument.as_bytes().to_vec()),
        _ => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map_err(|error| CliError::file("read", Path::new("-"), &error))?;
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::Screen;
    use super::*;

    #[test]
    fn headers_may_come_one_by_one_or_all_at_once() {
        let found = parse_headers(&["A: 1\nb:2:3".into(), "C:  x ".into()]).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(found, [pair("A", "1"), pair("b", "2:3"), pair("C", "x")]);
        assert_eq!(parse_headers(&["nonsense".into()]).unwrap_err().kind, ExitKind::Usage);
    }

    #[test]
    fn a_bad_signature_is_a_no_with_its_reason() {
        let mut screen = Screen::human();
        let end = report(&Verdict::Bad("the key differs".into()), &mut screen.context).unwrap_err();
        assert_eq!(end.kind, ExitKind::No);
        assert_eq!(screen.out(), "signature does not fit: the key differs\n");
    }
}
