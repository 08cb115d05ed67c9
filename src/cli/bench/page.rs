//! The report: one page that carries its style and its drawings, reads from nowhere else, and runs no script. Beside each
//! plot stands a table with the same figures.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::human::{bytes, count, plural};
use super::Report;
use super::plots::{bars, histogram, range, timeline};
use super::table::{cpu, latencies, millis, of_floor, rate, rss};
use crate::bench::{Figures, Latency};

const STYLE: &str = include_str!("page.css");

pub fn render(report: &Report<'_>) -> String {
    let figures = report.figures;
    let timed = figures.iter().find_map(|case| Some((case, case.latency.as_ref()?)));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "spoolhook bench, " (report.date) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "spoolhook bench" }
                    p { "Read the ratios: machines differ, and so do disks." }
                    @for caveat in &report.caveats { p class="caveat" { strong { "Note: " } (caveat) "." } }
                    (machine(report))
                    h2 { "Figures" }
                    (overview(figures))
                    @if figures.iter().any(|case| case.top_rate().is_some()) { (rates(figures)) }
                    @if let Some((case, latency)) = timed { (ages(case, latency)) }
                    @if figures.iter().any(|case| !case.timeline.is_empty()) { (over_time(figures)) }
                    (method())
                }
            }
        }
    };
    page.into_string()
}

fn machine(report: &Report<'_>) -> Markup {
    let machine = report.machine;
    let rows = [
        ("spoolhook", format!("{} ({} build)", machine.version, machine.build)),
        ("measured", report.date.clone()),
        ("processor", format!("{}, {}", machine.cpu, plural(machine.cores as u64, "core"))),
        ("memory", bytes(machine.memory_bytes)),
        ("kernel", machine.kernel.clone()),
        ("disk", format!("{} on {}, at {}", machine.filesystem, machine.device, machine.dir.display())),
    ];
    html! {
        table class="facts" {
            caption { "Where" }
            tbody { @for (name, value) in &rows { tr { th scope="row" { (name) } td { (value) } } } }
        }
    }
}

/// A table with a row per item: a heading, then cells.
fn rows(caption: &str, columns: &[&str], rows: &[Vec<String>]) -> Markup {
    html! {
        table {
            caption { (caption) }
            thead { tr { @for column in columns { th scope="col" { (column) } } } }
            tbody {
                @for row in rows {
                    tr {
                        @for (at, cell) in row.iter().enumerate() {
                            @if at == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

/// A plot and its table, side by side where there is room.
fn pair(plot: &Markup, table: &Markup) -> Markup {
    html! { div class="pair" { figure { (plot) } div class="table" { (table) } } }
}

fn overview(figures: &[Figures]) -> Markup {
    let columns =
        ["case", "deliveries", "per second", "of floor", "CPU", "RSS", "peak RSS", "threads", "p50", "p99", "max"];
    let row = |case: &Figures| {
        let [p50, p99, max] = latencies(case);
        let number = |value: Option<u64>, show: fn(u64) -> String| value.map_or("-".to_owned(), show);
        vec![
            case.label.to_owned(),
            number((case.deliveries > 0).then_some(case.deliveries), count),
            rate(case),
            of_floor(case),
            cpu(case),
            rss(case),
            number(case.peak_rss_bytes, bytes),
            number(case.threads, count),
            p50,
            p99,
            max,
        ]
    };
    let all: Vec<_> = figures.iter().map(row).collect();
    html! { div class="table" { (rows("Every case", &columns, &all)) } }
}

fn rates(figures: &[Figures]) -> Markup {
    let rated = figures.iter().filter(|case| case.top_rate().is_some());
    let table: Vec<_> = rated.map(|case| vec![case.label.to_owned(), rate(case), of_floor(case)]).collect();
    html! {
        h2 { "Deliveries per second" }
        (pair(&bars(figures), &rows("Rates", &["case", "per second", "of floor"], &table)))
    }
}

fn ages(case: &Figures, latency: &Latency) -> Markup {
    let shares = [
        ("half", latency.p50_ms),
        ("90 %", latency.p90_ms),
        ("99 %", latency.p99_ms),
        ("99.9 %", latency.p999_ms),
        ("all", latency.max_ms),
    ];
    let table: Vec<_> = shares.iter().map(|(share, ms)| vec![(*share).to_owned(), millis(*ms)]).collect();
    html! {
        h2 { "From append to receipt" }
        p { (case.label) ": the age of an event when the receiver has it." }
        (pair(&histogram(latency), &rows("Took at most", &["of the events", "time"], &table)))
    }
}

fn over_time(figures: &[Figures]) -> Markup {
    html! {
        h2 { "Over time" }
        @for case in figures {
            @if let Some([least, middle, most]) = range(case) {
                @let table = [("lowest", least), ("middle", middle), ("highest", most)];
                @let table: Vec<_> = table.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
                h3 { (case.label) }
                (pair(&timeline(case), &rows("Deliveries per second", &["", "rate"], &table)))
            }
        }
    }
}

fn method() -> Markup {
    let facts = [
        "Each case is an engine of its own: a process with a fresh spool and a fresh state on the disk named above. Every sync \
         it promises is made.",
        "Events are of 500 bytes, each request is signed (Standard Webhooks). They wait in the spool when the clock starts; the \
         rate is taken from the first receipt to the last.",
        "The receiver shares the processors with the engine: it keeps connections alive and answers 200 at once. Nothing leaves \
         the machine.",
        "The floor is a client on bare sockets that sends the same request over 32 connections, one write and one read each.",
        "CPU is the engine's time per delivery (of the floor: the client's), or of one core when idle. RSS is taken at the end of a \
         case.",
    ];
    html! { h2 { "How it was measured" } ul { @for fact in facts { li { (fact) } } } }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn page() -> String {
        let (machine, figures) = (samples::machine(), samples::figures());
        let caveats = vec!["<i>slow</i>".to_owned()];
        render(&Report { machine: &machine, caveats, date: "2026-03-12".to_owned(), figures: &figures })
    }

    #[test]
    fn nothing_that_comes_from_outside_is_taken_for_markup() {
        let page = page();
        assert!(page.contains("A &lt;CPU&gt; &amp; &quot;more&quot;") && page.contains("/srv/&lt;b&gt;"), "{page}");
        assert!(page.contains("&lt;i&gt;slow&lt;/i&gt;") && !page.contains("<i>"));
    }

    #[test]
    fn the_page_needs_nothing_but_itself() {
        let page = page();
        for outward in ["http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link"] {
            assert!(!page.contains(outward), "{outward}");
        }
        assert!(page.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn every_plot_has_a_table_beside_it() {
        let page = page();
        // Rates, ages, and three cases over time.
        assert_eq!((page.matches("<svg ").count(), page.matches("<div class=\"pair\">").count()), (5, 5));
        assert_eq!(page.matches("<figure>").count(), 5);
        assert!(page.matches("<caption>").count() >= 7, "{page}");
    }
}
