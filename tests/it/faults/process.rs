//! Signals, limits and a second instance.
