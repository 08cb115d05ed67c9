//! What the benchmarks of the whole engine share: the engine as a child process in the target directory,
//! the receiver as another, and what the environment asks for.

pub mod engine;
pub mod sink;

/// A number from the environment.
pub fn set<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// Whether a quick run is asked for, which only shows that the benchmark works.
pub fn is_small() -> bool {
    std::env::var("SPOOLHOOK_BENCH_SMALL").is_ok_and(|value| !value.is_empty())
}
