//! An engine that comes back by itself. When the disk is full or the descriptors have run out, everything is taken down, the
//! process waits, saying why, and then builds the engine anew from disk by the ordinary start. Nothing of the old one is
//! believed. What cannot be waited out ends the process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, never, select, tick};

use super::desk::Front;
use super::doubt::{Cause, Doubt};
use super::room::Room;
use super::running::{Engine, EngineError, Parts, Shared};
use super::watchdog::Watchdog;
use crate::config::Config;
use crate::env::{Clock, OsFiles, SystemClock};

/// Between two looks whether the cause is gone.
const LOOK: Duration = Duration::from_secs(1);
/// Before a new start when the one before did not last: doubled each time, up to this.
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// An engine that ran for so long has recovered.
const LASTING: Duration = Duration::from_secs(30);
/// Questions of the control plane that are under way get so long to end.
const LET_GO: Duration = Duration::from_secs(20);
/// How often somebody who waits for the end of all work looks, and looks in a row that must find nothing left.
const IDLE_LOOK: Duration = Duration::from_millis(50);
const IDLE_LOOKS: u32 = 3;

/// What somebody outside asks of a running engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Reload,
    Stop,
}

/// An engine with what it takes to build it again.
pub struct Supervisor {
    engine: Engine,
    orders: Receiver<Order>,
    clock: SystemClock,
    started: Duration,
    pause: Duration,
}

/// The machine refuses for a cause that may pass.
fn passing(error: &EngineError) -> Option<Doubt> {
    let doubt = Doubt::of(error);
    let is_machine = !matches!(error, EngineError::Setup(_) | EngineError::Network(_) | EngineError::Admin(_));
    (is_machine && doubt.cause.passes()).then_some(doubt)
}

/// Waits until the cause is gone. `false`: told to stop.
fn wait_for_room(config: &Config, cause: Cause, orders: &Receiver<Order>, told: &dyn Fn(&str)) -> bool {
    let room = Room::new(Arc::new(OsFiles), config);
    let mut last = String::new();
    while let Some(lacking) = room.lacks(cause) {
        if cause == Cause::Space && room.use_a_piece() {
            tracing::warn!(
                "{lacking}: going on with room that was set aside for records, to finish and remove what can be"
            );
            return true;
        }
        if lacking != last {
            tracing::warn!("waiting: {lacking}");
            told(&lacking);
            last = lacking;
        }
        if !wait(orders, LOOK) {
            return false;
        }
    }
    true
}

/// `false`: told to stop.
fn wait(orders: &Receiver<Order>, at_most: Duration) -> bool {
    let until = crossbeam_channel::after(at_most);
    loop {
        select! {
            recv(until) -> _ => return true,
            recv(orders) -> order => if order != Ok(Order::Reload) { return false },
        }
    }
}

impl Supervisor {
    /// Starts an engine, waiting for room where there is none. `None`: told to stop meanwhile.
    pub fn start(
        config: Config,
        config_path: Option<PathBuf>,
        orders: Receiver<Order>,
    ) -> Result<Option<Self>, EngineError> {
        let clock = SystemClock::new();
        let pause = Duration::ZERO;
        let Some(engine) = build(Front::new(), config, config_path, &orders, pause)? else { return Ok(None) };
        let started = clock.monotonic();
        Ok(Some(Self { engine, orders, clock, started, pause }))
    }

    /// The address that the control plane listens on, other than its socket.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.engine.tcp_address()
    }

    /// Goes on until told to stop, or until something ends it that does not pass. `idle` gets one message when everything
    /// is drained.
    pub fn run(mut self, idle: Option<&Sender<()>>) -> Result<(), EngineError> {
        let idle_looks = if idle.is_some() { tick(IDLE_LOOK) } else { never() };
        let looks = tick(LOOK);
        let mut drained = 0;
        let mut watchdog = Watchdog::default();
        loop {
            let stops = self.engine.stops().clone();
            select! {
                recv(self.orders) -> order => match order {
                    Ok(Order::Reload) => self.engine.reload(),
                    Ok(Order::Stop) | Err(_) => return self.engine.stop(),
                },
                recv(stops) -> doubt => {
                    let doubt = doubt.unwrap_or_else(|_| Doubt::bug("every thread of the engine is gone"));
                    match self.go_on_after(doubt)? {
                        Some(again) => self = again,
                        None => return Ok(()),
                    }
                }
                recv(looks) -> _ => {
                    let shared = &self.engine.parts.shared;
                    watchdog.look(&shared.pulses, self.clock.monotonic())?;
                    self.engine.parts.pool.mend();
                    if !self.engine.front.is_attended() {
                        return Err(EngineError::Doubt(Doubt::bug("the thread \"admin\" is gone; please report it")));
                    }
                }
                recv(idle_looks) -> _ => {
                    drained = if self.engine.is_idle() { drained + 1 } else { 0 };
                    if drained == IDLE_LOOKS {
                        let _ = idle.map(|idle| idle.try_send(()));
                    }
                }
            }
        }
    }

    fn go_on_after(self, doubt: Doubt) -> Result<Option<Self>, EngineError> {
        let Self { engine, orders, clock, started, pause } = self;
        let Engine { parts, front } = engine;
        let (shared, first) = parts.end();
        let doubt = first.unwrap_or(doubt);
        if !doubt.cause.passes() {
            return Err(EngineError::Doubt(doubt));
        }
        let (config, config_path) = (Config::clone(&shared.config()), shared.config_path.clone());
        front.desk.close(doubt.reason.clone());
        if !let_go(shared, &clock) {
            let reason = format!("{}; a request or question that does not end keeps it from going on", doubt.reason);
            return Err(EngineError::Doubt(Doubt { reason, cause: Cause::Bug }));
        }
        let lasted = clock.monotonic().saturating_sub(started) >= LASTING;
        let pause = if lasted { Duration::ZERO } else { (pause * 2).clamp(LOOK / 2, PAUSE_MAX) };
        let desk = front.desk.clone();
        let told = |lacking: &str| desk.close(format!("{}; waiting: {lacking}", doubt.reason));
        if !wait(&orders, pause) || !wait_for_room(&config, doubt.cause, &orders, &told) {
            return Ok(None);
        }
        let Some(engine) = build(front, config, config_path, &orders, pause)? else { return Ok(None) };
        tracing::info!("the cause is gone: the engine goes on from what is on disk");
        let started = clock.monotonic();
        Ok(Some(Self { engine, orders, clock, started, pause }))
    }
}

/// Builds an engine behind `front`, as often as the machine refuses for a cause that may pass.
fn build(
    mut front: Front,
    config: Config,
    config_path: Option<PathBuf>,
    orders: &Receiver<Order>,
    mut pause: Duration,
) -> Result<Option<Engine>, EngineError> {
    loop {
        let error = match Parts::start(config.clone(), config_path.clone(), &mut front) {
            Ok(parts) => return Ok(Some(Engine { parts, front })),
            Err(error) => error,
        };
        let Some(doubt) = passing(&error) else { return Err(error) };
        tracing::error!(reason = doubt.reason, "the engine cannot start now");
        front.meters.lock().totals.state_error("start");
        front.desk.close(doubt.reason.clone());
        pause = (pause * 2).clamp(LOOK / 2, PAUSE_MAX);
        let told = |lacking: &str| front.desk.close(format!("{}; waiting: {lacking}", doubt.reason));
        if !wait(orders, pause) || !wait_for_room(&config, doubt.cause, orders, &told) {
            return Ok(None);
        }
    }
}

/// Waits until nobody holds on to what the threads shared, and with it to the state.
fn let_go(shared: Arc<Shared>, clock: &SystemClock) -> bool {
    let until = clock.monotonic() + LET_GO;
    let mut shared = shared;
    let view = shared.config().state.dir.join("view");
    loop {
        match Arc::try_unwrap(shared) {
            Ok(last) => break drop(last),
            Err(held) => shared = held,
        }
        if clock.monotonic() > until {
            return false;
        }
        pause();
    }
    // Its last handle is dropped, but threads of the store may close it a moment later.
    while !crate::store::is_released(&view) {
        if clock.monotonic() > until {
            return false;
        }
        pause();
    }
    true
}

fn pause() {
    let (_never, wait) = bounded::<()>(0);
    let ended: Result<(), RecvTimeoutError> = wait.recv_timeout(Duration::from_millis(20));
    debug_assert!(ended.is_err());
}
