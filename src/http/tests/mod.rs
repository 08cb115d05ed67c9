//! The transport against real sockets: scripted servers on loopback that behave, and many that do not.

mod misbehaviour;
mod routes;
mod secure;
mod several;
mod support;
mod tokens;
mod wire_format;
