//! Ports that nobody else gets, so that a receiver can go away and come back.

use std::net::{Ipv4Addr, SocketAddr};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

/// A port of the loopback that refuses connections until somebody listens there, and again afterwards. A socket that is bound
/// and never listens keeps the kernel from giving it to others for as long as these tests run: neither as anybody's
/// port, nor as the near end of a connection, which may even be one to itself.
pub fn free_port() -> SocketAddr {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    // Listeners set it, too; that is what lets them in beside this one.
    sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = getsockname(&socket).unwrap().try_into().unwrap();
    std::mem::forget(socket);
    address
}
