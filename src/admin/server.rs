//! The control thread: a current-thread runtime that serves the routes until it is told to stop.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;

use super::control::Control;
use super::door::Door;
use super::listener::{self, AdminError, SocketFile};
use super::live::LiveHub;
use super::routes;
use super::tcp::{self, Acceptor, Limits, Peer, SocketAcceptor};
use crate::env::open_files_limit;

/// Where to listen.
#[derive(Clone, Debug, Default)]
pub struct Listen {
    /// Who may open the file may use the API.
    pub socket: Option<PathBuf>,
    /// Who shows a token may use it as far as the token goes.
    pub tcp: Option<SocketAddr>,
    /// What those who come over TCP may take.
    pub limits: Limits,
}

/// The running control plane. It stops when it is dropped.
pub struct Admin {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    tcp: Option<SocketAddr>,
    _socket: Option<SocketFile>,
}

/// How long open exchanges may go on after a stop.
const GRACE: Duration = Duration::from_secs(1);

/// Most threads that wait for the engine at a time; further requests queue.
const BLOCKING_THREADS_MAX: usize = 8;

/// Binds, then serves on a thread of its own. The listeners are ready when this returns.
pub fn start(listen: &Listen, control: Arc<dyn Control>, live: LiveHub, door: Arc<Door>) -> Result<Admin, AdminError> {
    let socket = listen.socket.as_deref().map(listener::bind).transpose()?;
    let tcp = listen.tcp.map(bind_tcp).transpose()?;
    let tcp_address = tcp.as_ref().and_then(|listener| listener.local_addr().ok());
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("admin-ask")
        .build()
        .map_err(AdminError::Thread)?;
    let (unix, socket_file) = socket.unzip();
    // The listeners join the runtime's poller here, where a failure can still be told.
    let (unix, tcp) = {
        let _inside = runtime.enter();
        (
            unix.map(tokio::net::UnixListener::from_std).transpose().map_err(AdminError::Thread)?,
            tcp.map(tokio::net::TcpListener::from_std).transpose().map_err(AdminError::Thread)?,
        )
    };
    // Without TCP nobody comes to the second one.
    let reached_at = tcp_address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    let limits = listen.limits.within(open_files_limit());
    let (over_unix, over_tcp) = routes::whole(control, live, door, reached_at, limits.connections, stopped.clone());
    let over_tcp = tcp::watched(over_tcp).into_make_service_with_connect_info::<Peer>();
    let thread = thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let unix = async {
                    if let Some(listener) = unix {
                        let serving = axum::serve(SocketAcceptor::new(listener, limits), over_unix);
                        attend(serving.with_graceful_shutdown(told_to(&stopped)), stopped.clone()).await;
                    }
                };
                let tcp = async {
                    if let Some(listener) = tcp {
                        let serving = axum::serve(Acceptor::new(listener, limits), over_tcp);
                        attend(serving.with_graceful_shutdown(told_to(&stopped)), stopped.clone()).await;
                    }
                };
                tokio::join!(unix, tcp)
            });
            runtime.shutdown_timeout(GRACE);
        })
        .map_err(AdminError::Thread)?;
    Ok(Admin { stop, thread: Some(thread), tcp: tcp_address, _socket: socket_file })
}

fn bind_tcp(address: SocketAddr) -> Result<TcpListener, AdminError> {
    let listener = TcpListener::bind(address).map_err(|source| AdminError::Tcp { address, source })?;
    listener.set_nonblocking(true).map_err(|source| AdminError::Tcp { address, source })?;
    Ok(listener)
}

fn told_to(stopped: &watch::Receiver<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut stopped = stopped.clone();
    async move { wait_for_stop(&mut stopped).await }
}

/// Serves until told to stop, and then as long as open exchanges may take.
async fn attend(serving: impl IntoFuture<Output = io::Result<()>>, mut stopped: watch::Receiver<bool>) {
    let patience = async {
        wait_for_stop(&mut stopped).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = serving.into_future() => {
            if let Err(error) = result {
                tracing::error!(%error, "the control plane stopped");
            }
        }
        () = patience => {}
    }
}

/// Returns when the sender says stop, or is gone.
pub(super) async fn wait_for_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

impl Admin {
    /// The TCP address in use; its port is the kernel's choice when the configuration says 0.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// Whether its thread still turns.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Stops listening, gives open exchanges a moment, ends the thread and removes the socket file.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            // A panic of that thread was already reported by the panic hook.
            let _ = thread.join();
        }
    }
}
