//! The figures as a table for the terminal, and each figure as a person reads it.

use super::super::human::{bytes, count};
use super::super::table::{Align, Cell, Table};
use crate::bench::Figures;

/// One row per case.
pub fn render(all: &[Figures]) -> String {
    let mut table = Table::new(&[
        ("CASE", Align::Left),
        ("PER SECOND", Align::Right),
        ("OF FLOOR", Align::Right),
        ("CPU", Align::Right),
        ("RSS", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
        ("MAX", Align::Right),
    ]);
    for figures in all {
        let [p50, p99, max] = latencies(figures);
        let cells = [rate(figures), of_floor(figures), cpu(figures), rss(figures), p50, p99, max];
        let [rate, of_floor, cpu, rss, p50, p99, max] = cells.map(Cell::from);
        table.row([figures.label.into(), rate, of_floor, cpu, rss, p50, p99, max]);
    }
    table.render()
}

/// What a case does not tell.
const NOTHING: &str = "-";

fn shown<T>(figure: Option<T>, show: impl FnOnce(T) -> String) -> String {
    figure.map_or_else(|| NOTHING.to_owned(), show)
}

pub fn rate(figures: &Figures) -> String {
    shown(figures.per_second, |rate| count(rate.round() as u64))
}

pub fn of_floor(figures: &Figures) -> String {
    shown(figures.of_floor, |share| format!("{share:.2}"))
}

/// Per delivery, or of a core when idle.
pub fn cpu(figures: &Figures) -> String {
    match figures.idle_cpu_percent {
        Some(percent) => format!("{percent:.2} %"),
        None => shown(figures.cpu_us, |us| format!("{us:.1} us")),
    }
}

pub fn rss(figures: &Figures) -> String {
    shown(figures.rss_bytes, bytes)
}

/// The middle one, what one in a hundred surpasses, and the worst.
pub fn latencies(figures: &Figures) -> [String; 3] {
    let latency = figures.latency.as_ref();
    [latency.map(|all| all.p50_ms), latency.map(|all| all.p99_ms), latency.map(|all| all.max_ms)]
        .map(|value| shown(value, millis))
}

pub fn millis(ms: f64) -> String {
    format!("{ms:.1} ms")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_row_says_what_its_case_tells() {
        let plain = anstream::adapter::strip_str(&render(&samples::figures())).to_string();
        assert_eq!(
            plain,
            "\
CASE             PER SECOND  OF FLOOR      CPU       RSS     P50      P99      MAX
bare sockets         64 500      1.00  15.0 us         -       -        -        -
at least <once>      19 500      0.30  15.0 us  45.0 MiB       -        -        -
one by one            1 000         -  15.0 us  45.0 MiB  1.3 ms  11.6 ms  15.1 ms
idle                      -         -   0.02 %  45.0 MiB       -        -        -
"
        );
    }
}
