//! Signals, limits, panics and a second instance.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use super::tools::{
    PATIENCE, SURE, has_strace, judge, names, nobody_is_blamed, running, scenario, skip, strace, wait_for_a_request,
    write,
};
use crate::support::{Sink, pause, wait_until};

const SOFTWARE: Option<i32> = Some(70);

#[test]
fn a_second_instance_is_told_who_is_there() {
    let (_sink, scenario, mut engine) = running(|_| 200, "");
    let second = scenario.run(&["run"]);
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(74), "{text}");
    assert!(text.contains(&format!("another spoolhook (pid {})", engine.pid())), "{text}");
    engine.assert_running();
    assert_eq!(engine.stop(), Some(0));
}

#[test]
fn a_panic_in_a_thread_ends_the_process_and_nothing_is_lost() {
    if cfg!(not(debug_assertions)) {
        return skip("a build with debug assertions, which has the failpoints,");
    }
    for thread in ["intake", "committer", "scheduler", "catch-up", "housekeeping", "worker"] {
        let sink = Sink::start(|_, _, _| 200);
        let scenario = scenario(&sink, "");
        let fail = format!("SPOOLHOOK_FAIL={thread}:panic");
        let mut engine = scenario.engine_under(&["env", &fail]);
        engine.ready();
        let mut files = 0;
        let ended = wait_until(PATIENCE, || {
            write(&scenario.path("disk/spool"), &format!("w{files}"), 5);
            files += 1;
            engine.has_ended()
        });
        assert!(ended, "{thread}: {}", scenario.log());
        assert_eq!(engine.ended(Duration::ZERO), SOFTWARE, "{thread}: {}", scenario.log());
        assert!(scenario.log().contains(&format!("the thread \\\"{thread}\\\" panicked")), "{}", scenario.log());
        let mut engine = scenario.engine();
        engine.ready();
        judge(&scenario, &sink, &(0..files).flat_map(|file| names(&format!("w{file}"), 5)).collect());
        assert_eq!(engine.stop(), Some(0), "{thread}");
    }
}

#[test]
fn a_second_signal_ends_a_stop_that_takes_long() {
    let slowly = |_: &str| {
        pause(Duration::from_secs(8));
        200
    };
    let (sink, scenario, mut engine) = running(slowly, "");
    write(&scenario.path("disk/spool"), "a", 3);
    wait_for_a_request(&sink);
    engine.signal(Signal::TERM);
    pause(Duration::from_millis(300));
    engine.assert_running();
    engine.signal(Signal::TERM);
    assert_eq!(engine.ended(Duration::from_secs(2)), Some(130));
    let mut engine = scenario.engine();
    engine.ready();
    judge(&scenario, &sink, &names("a", 3));
}

#[test]
fn two_signals_at_once_are_one_request_to_stop() {
    let slowly = |_: &str| {
        pause(Duration::from_secs(1));
        200
    };
    let (sink, scenario, mut engine) = running(slowly, "");
    write(&scenario.path("disk/spool"), "a", 3);
    wait_for_a_request(&sink);
    engine.signal(Signal::TERM);
    engine.signal(Signal::TERM);
    assert_eq!(engine.ended(PATIENCE), Some(0), "{}", scenario.log());
    assert!(sink.seen(SURE).values().any(|seen| seen.taken > 0), "what was on its way was waited for");
}

#[test]
fn a_stop_waits_for_answers_that_come_and_cuts_off_those_that_do_not() {
    let slowly = |path: &str| {
        pause(Duration::from_secs(if path == SURE { 1 } else { 60 }));
        200
    };
    let (sink, scenario, engine) = running(slowly, "");
    write(&scenario.path("disk/spool"), "a", 3);
    wait_for_a_request(&sink);
    assert_eq!(engine.stop(), Some(0));
    let books = super::tools::audit(&scenario);
    let of = |name: &str| {
        books["subscriptions"].as_array().unwrap().iter().find(|books| books["subscription"] == name).cloned()
    };
    let (sure, once) = (of("sure").unwrap(), of("once").unwrap());
    assert!(sure["delivered"].as_u64() > Some(0), "answers within the wait count: {sure:#}");
    assert!(
        once["unknown"].as_u64() > Some(0) && once["delivered"] == 0,
        "what was cut off may have arrived: {once:#}"
    );
}

#[test]
fn a_stop_may_come_while_anything_is_going_on() {
    let answered = AtomicU32::new(0);
    let decide = move |_: &str| if answered.fetch_add(1, Ordering::Relaxed).is_multiple_of(10) { 500 } else { 200 };
    let (sink, scenario, engine) = running(decide, "");
    let (scenario, spool) = (&scenario, scenario.path("disk/spool"));
    let mut engine = Some(engine);
    let mut events = BTreeSet::new();
    for round in 0..12 {
        let mut running = engine.take().unwrap_or_else(|| scenario.engine());
        running.ready();
        let name = format!("s{round}");
        events.extend(names(&name, 200));
        std::thread::scope(|scope| {
            scope.spawn(|| write(&spool, &name, 200));
            scope.spawn(|| {
                let list = ["--jsonl", "deliveries", "list", "--status", "pending"];
                let ids = String::from_utf8(scenario.run(&list).stdout).unwrap();
                let ids: Vec<serde_json::Value> = ids.lines().flat_map(serde_json::from_str).collect();
                let ids = ids.iter().filter(|row| row["subscription"] == "sure").filter_map(|row| row["id"].as_str());
                let replay: Vec<_> = ["replay"].into_iter().chain(ids.take(20)).collect();
                for command in
                    [&["reload"][..], &["audit"], &["subs", "pause", "sure"], &["subs", "resume", "sure"], &replay]
                {
                    scenario.run(command);
                }
            });
            pause(Duration::from_millis(20 * round));
            assert_eq!(running.stop(), Some(0), "round {round}: {}", scenario.log());
        });
    }
    let mut engine = scenario.engine();
    engine.ready();
    scenario.run(&["subs", "resume", "sure"]);
    judge(scenario, &sink, &events);
    assert_eq!(engine.stop(), Some(0));
}

#[test]
fn a_start_may_be_stopped_at_any_moment() {
    let sink = Sink::start(|_, _, _| 200);
    let scenario = scenario(&sink, "");
    write(&scenario.path("disk/spool"), "a", 200);
    for delay_ms in [5, 15, 25, 35, 50, 70, 90, 120] {
        let mut engine = scenario.engine();
        pause(Duration::from_millis(delay_ms));
        engine.signal(Signal::TERM);
        // Before the program has begun to listen for signals, the kernel's answer holds: no code.
        let code = engine.ended(PATIENCE);
        assert!(matches!(code, Some(0) | None), "{code:?} after {delay_ms} ms: {}", scenario.log());
    }
    let mut engine = scenario.engine();
    engine.ready();
    judge(&scenario, &sink, &names("a", 200));
    assert_eq!(engine.stop(), Some(0));
}

#[test]
fn a_process_that_is_stopped_for_a_while_blames_nobody() {
    let slowly = |_: &str| {
        pause(Duration::from_millis(200));
        200
    };
    let (sink, scenario, engine) = running(slowly, "\n[delivery]\ntimeout = \"2s\"");
    write(&scenario.path("disk/spool"), "a", 300);
    for _ in 0..3 {
        let seen = sink.wait_for(SURE, usize::MAX, Duration::from_millis(700));
        engine.signal(Signal::STOP);
        pause(Duration::from_secs(4));
        engine.signal(Signal::CONT);
        println!("stopped after {seen}");
    }
    judge(&scenario, &sink, &names("a", 300));
    nobody_is_blamed(&scenario);
    assert_eq!(engine.stop(), Some(0));
}

#[test]
fn descriptors_that_run_out_are_waited_for() {
    let (sink, scenario, mut engine) = running(|_| 200, "");
    let limit = |files: &str| {
        let pid = engine.pid().to_string();
        let done = std::process::Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={files}")]).status();
        done.is_ok_and(|status| status.success())
    };
    write(&scenario.path("disk/spool"), "a", 50);
    assert_eq!(sink.wait_for(SURE, 50, PATIENCE), 50);
    if !limit("8:4096") {
        return skip("prlimit");
    }
    for file in 0..20 {
        write(&scenario.path("disk/spool"), &format!("b{file}"), 20);
        pause(Duration::from_millis(100));
    }
    assert!(limit("4096:4096"));
    let mut events = names("a", 50);
    events.extend((0..20).flat_map(|file| names(&format!("b{file}"), 20)));
    judge(&scenario, &sink, &events);
    let audit = super::tools::audit(&scenario);
    assert_eq!(audit["spool"]["quarantined"], 0);
    engine.assert_running();
    assert_eq!(engine.stop(), Some(0));
}

#[test]
fn a_pool_that_cannot_grow_works_with_what_it_has() {
    if !has_strace() {
        return skip("strace, or the right to trace");
    }
    // Each endpoint keeps a worker until no further one can be had, so that how quick the machine is decides nothing.
    let is_small = Arc::new(AtomicBool::new(false));
    let held = is_small.clone();
    let sink = Sink::start(move |_, _, _| {
        wait_until(PATIENCE, || held.load(Ordering::SeqCst));
        200
    });
    let others: String = (0..40)
        .map(|at| {
            let url = format!("http://{}/other{at}", sink.addr());
            format!("[[subscription]]\nname = \"o{at}\"\nurl = \"{url}\"\ndialect = \"plain\"\nevents = [\"**\"]\n")
        })
        .collect();
    let scenario = scenario(&sink, &format!("\n[delivery]\nworkers = 256\n{others}"));
    let trace = scenario.path("trace");
    // Calls are counted by thread. A start makes fewer than thirty; more are workers, called by the scheduler.
    let mut engine = scenario.engine_under(&strace("clone3:error=EAGAIN:when=30+", &trace, &[]));
    engine.ready();
    write(&scenario.path("disk/spool"), "a", 50);
    assert!(
        wait_until(PATIENCE, || scenario.log().contains("no further worker thread")),
        "the pool was not kept small"
    );
    is_small.store(true, Ordering::SeqCst);
    judge(&scenario, &sink, &names("a", 50));
    engine.assert_running();
}

#[test]
fn a_start_without_threads_says_so() {
    if !has_strace() {
        return skip("strace, or the right to trace");
    }
    let sink = Sink::start(|_, _, _| 200);
    let scenario = scenario(&sink, "");
    let trace = scenario.path("trace");
    for at in ["1+", "2+", "3+", "9+"] {
        let inject = format!("clone3:error=EAGAIN:when={at}");
        let mut engine = scenario.engine_under(&strace(&inject, &trace, &[]));
        assert_eq!(engine.ended(PATIENCE), Some(74), "{at}: {}", scenario.log());
    }
    assert!(scenario.log().contains("thread"), "{}", scenario.log());
}
