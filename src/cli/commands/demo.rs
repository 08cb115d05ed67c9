//! `demo`: engine, receiver and sample events in a directory that goes away again.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, select};

use super::super::client::{EngineClient, Frames, Lines, SocketClient};
use super::super::context::Context;
use super::super::demo::{Home, SAMPLES, config};
use super::super::error::{CliError, ExitKind, reason};
use super::super::glue::engine::{self, Launch};
use super::super::glue::receiver::{self, Behaviour};
use super::super::live::{self, Live};
use super::super::producer;
use crate::admin::api::TokenAnswer;
use crate::admin::{Signal, watch_signals};
use crate::model::DeliveryStatus;

/// See it work: engine, receiver and sample events, nothing to configure
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook demo                  until ^C; everything it made is removed again
  spoolhook demo --exit-after 1   end with 0 after the first delivered event")]
pub struct Args {
    /// End with 0 after this many deliveries
    #[arg(long, value_name = "N")]
    exit_after: Option<u64>,
}

/// One request in five is answered 500, so that a retry is seen.
const FAIL_RATE: f64 = 0.2;

/// Between two sample events.
const PACE: Duration = Duration::from_millis(300);

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let home = Home::create(&format!("{}-{}", std::process::id(), context.now().0))?;
    let signals = watch_signals()
        .map_err(|error| CliError::new(ExitKind::Io, format!("cannot watch for signals: {}", reason(&error))))?;
    let behaviour = Behaviour {
        address: ([127, 0, 0, 1], 0).into(),
        status: 200,
        delay: Duration::ZERO,
        fail_rate: FAIL_RATE,
        hang: false,
        secrets: vec![config::secret()],
        dialect: None,
        save: None,
    };
    let receiver = receiver::start(behaviour, fastrand::u64(..))?;
    let file = home.path().join("config.toml");
    std::fs::write(&file, config::text(receiver.address(), home.path()))
        .map_err(|error| CliError::file("write", &file, &error))?;
    let Some(engine) = engine::start(Launch { config: &file, until_idle: false }, &signals)? else { return Ok(()) };
    // What the receiver saw is not shown, but has to be taken from it.
    let requests = receiver.requests().clone();
    let drain = thread::spawn(move || requests.iter().for_each(drop));

    let spool = home.path().join("spool");
    context.out.say(&format!("engine     spool {}", spool.display()));
    context.out.say(&format!("receiver   http://{}   answers 200, but one request in five 500", receiver.address()));
    context.out.say(&format!(
        "your own   spoolhook send invoice.paid -d '{{\"total\":1}}' --tenant umbra --spool {}",
        spool.display()
    ));
    let client = SocketClient::new(home.path().join("state/spoolhook.sock"));
    if let Some(address) = engine.address() {
        let file = token_file(&client, home.path())?.display().to_string();
        context.out.say(&format!("api        http://{address}   token in {file}"));
        context
            .out
            .say(&format!("           curl -H \"Authorization: Bearer $(cat {file})\" http://{address}/v1/status"));
        context.out.say(&format!("           spoolhook --url http://{address} --token-file {file} status"));
    }
    let stream = client.stream("/v1/stream")?;
    let told = tell(&follow(stream), &signals, &args, context, |number| {
        producer::write(&spool, &format!("demo-{number:06}"), SAMPLES[number % SAMPLES.len()], false).map(drop)
    });
    let stopped = engine.stop(&signals);
    drop(receiver);
    // It ends with the receiver's channel; a panic in it would have shown itself.
    let _ = drain.join();
    told.and(stopped)
}

/// A token for this run, in a file that goes away with it.
fn token_file(client: &SocketClient, home: &Path) -> Result<PathBuf, CliError> {
    let wanted = br#"{"name":"demo","scope":"admin"}"#;
    let answer = client.call("POST", "/v1/tokens", wanted)?.read::<TokenAnswer>()?;
    let path = home.join("token");
    let token = answer.value.token.unwrap_or_default();
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    made.and_then(|mut file| writeln!(file, "{token}")).map_err(|error| CliError::file("write", &path, &error))?;
    Ok(path)
}

/// The stream's messages on a channel, until it ends.
fn follow(stream: Lines) -> Receiver<Result<Live, CliError>> {
    let (sender, receiver) = bounded(64);
    thread::spawn(move || {
        for frame in Frames(stream) {
            let message = match frame {
                Ok(frame) => live::read(&frame).transpose(),
                Err(error) => Some(Err(CliError::new(ExitKind::Io, reason(&error)))),
            };
            if message.is_some_and(|message| sender.send(message).is_err()) {
                return;
            }
        }
    });
    receiver
}

/// Prints what is delivered and writes the next sample whenever nothing happened for a while.
fn tell(
    lines: &Receiver<Result<Live, CliError>>,
    signals: &Receiver<Signal>,
    args: &Args,
    context: &mut Context,
    mut write_sample: impl FnMut(usize) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let (mut written, mut delivered) = (0, 0);
    while args.exit_after.is_none_or(|wanted| delivered < wanted) {
        write_sample(written)?;
        written += 1;
        let pause = crossbeam_channel::after(PACE);
        loop {
            select! {
                recv(lines) -> message => match message {
                    Ok(message) => match message? {
                        Live::Attempt(attempt) => {
                            context.out.text(&format!("{}\n", live::line(&attempt, &context.zone)))?;
                            delivered += u64::from(attempt.status == DeliveryStatus::Delivered);
                            if args.exit_after.is_some_and(|wanted| delivered >= wanted) {
                                return Ok(());
                            }
                        }
                        Live::Gap(gap) => context.out.say(&live::gap(gap)),
                    },
                    Err(_) => return Err(CliError::new(ExitKind::Io, "the engine ended")),
                },
                recv(signals) -> signal => match signal {
                    Ok(Signal::Hangup) => {}
                    Ok(Signal::Terminate) => return Ok(()),
                    Ok(Signal::Interrupt) | Err(_) => return Err(CliError::silent(ExitKind::Interrupted)),
                },
                recv(pause) -> _ => break,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::unbounded;

    use super::super::super::tests::Screen;
    use super::*;
    use crate::admin::fake::attempt_line;

    #[test]
    fn the_demo_ends_after_as_many_deliveries_as_asked() {
        let (sender, lines) = unbounded();
        let (_signal, signals) = unbounded();
        for status in [DeliveryStatus::Pending, DeliveryStatus::Delivered, DeliveryStatus::Delivered] {
            sender.send(Ok(Live::Attempt(attempt_line(status)))).unwrap();
        }
        let mut screen = Screen::human();
        let mut samples = Vec::new();
        let args = Args { exit_after: Some(1) };
        let end = tell(&lines, &signals, &args, &mut screen.context, |number| {
            samples.push(number);
            Ok(())
        });
        assert_eq!(end, Ok(()));
        assert_eq!((samples, lines.len()), (vec![0], 1));
        assert_eq!(screen.out().lines().count(), 2);
    }
}
