//! What a user would notice, in one binary.

mod layers;
mod usage;
