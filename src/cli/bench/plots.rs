//! The plots of the report: rates as bars, a rate over time as a line, ages as a histogram.

use maud::{Markup, html};

use super::super::human::count;
use super::chart::{self, Scale, at, block, drawing, ticks, words};
use super::table::millis;
use crate::bench::{Figures, Latency};

const WIDTH: f64 = 640.0;
/// Half of a letter's height, to put text beside a line.
const HALF_LETTER: f64 = 4.0;

/// Deliveries per second of each case that ran as fast as it could.
pub fn bars(all: &[Figures]) -> Markup {
    const LEFT: f64 = 190.0;
    const ROW: f64 = 30.0;
    const VALUE: f64 = 70.0;
    let rated: Vec<(&Figures, f64)> = all.iter().filter_map(|case| Some((case, case.top_rate()?))).collect();
    let most = rated.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let scale = Scale::new(most, LEFT, WIDTH - VALUE);
    let height = ROW * rated.len() as f64;
    let content = html! {
        @for (row, (case, rate)) in rated.iter().enumerate() {
            @let top = ROW * row as f64 + 5.0;
            @let middle = top + ROW / 2.0 - 5.0 + HALF_LETTER;
            @let class = if case.name == "floor" { "bar floor" } else { "bar" };
            (words("end", (LEFT - 10.0, middle), case.label))
            (block(class, (LEFT, top), (scale.place(*rate) - LEFT, ROW - 10.0)))
            (words("start", (scale.place(*rate) + 6.0, middle), &count(rate.round() as u64)))
        }
    };
    let sentence = |(case, rate): &(&Figures, f64)| format!("{}: {}", case.label, count(rate.round() as u64));
    let description = rated.iter().map(sentence).collect::<Vec<_>>().join("; ");
    drawing("plot-rates", "Deliveries per second", &description, (WIDTH, height), &content)
}

/// The rate of one case while it ran.
pub fn timeline(case: &Figures) -> Markup {
    const LEFT: f64 = 70.0;
    const TOP: f64 = 12.0;
    const BOTTOM: f64 = 150.0;
    const RIGHT: f64 = WIDTH - 30.0;
    let most = case.timeline.iter().map(|point| point.per_second).fold(0.0, f64::max);
    let steps = ticks(most, 3);
    let up = Scale::new(steps.last().copied().unwrap_or(1.0), BOTTOM, TOP);
    let seconds = case.timeline.last().map_or(1.0, |point| point.seconds);
    let across = Scale::new(seconds, LEFT, RIGHT);
    let place = |at_seconds, per_second| format!("{},{}", at(across.place(at_seconds)), at(up.place(per_second)));
    let points: Vec<String> = case.timeline.iter().map(|point| place(point.seconds, point.per_second)).collect();
    let content = html! {
        @for step in &steps {
            (chart::line("grid", (LEFT, up.place(*step)), (RIGHT, up.place(*step))))
            (words("end", (LEFT - 8.0, up.place(*step) + HALF_LETTER), &count(step.round() as u64)))
        }
        @for step in ticks(seconds, 6).iter().filter(|step| **step <= seconds) {
            (words("middle", (across.place(*step), BOTTOM + 20.0), &format!("{} s", at(*step))))
        }
        polyline class="curve" points=(points.join(" ")) {}
    };
    let id = format!("plot-time-{}", case.name);
    let title = format!("{}: deliveries per second over time", case.label);
    let description = match range(case) {
        Some([least, middle, most]) => format!("between {least} and {most}, half of the time above {middle}"),
        None => "too short to show".to_owned(),
    };
    drawing(&id, &title, &description, (WIDTH, BOTTOM + 30.0), &content)
}

/// The lowest, the middle and the highest rate of a case's timeline.
pub fn range(case: &Figures) -> Option<[String; 3]> {
    let mut rates: Vec<f64> = case.timeline.iter().map(|point| point.per_second).collect();
    rates.sort_by(f64::total_cmp);
    let rounded = |rate: f64| count(rate.round() as u64);
    Some([rounded(*rates.first()?), rounded(rates[rates.len() / 2]), rounded(*rates.last()?)])
}

/// How many events took how long.
pub fn histogram(latency: &Latency) -> Markup {
    const LEFT: f64 = 70.0;
    const TOP: f64 = 12.0;
    const BOTTOM: f64 = 180.0;
    const RIGHT: f64 = WIDTH - 10.0;
    let percent = |events: u64| events as f64 * 100.0 / latency.events.max(1) as f64;
    let most = latency.buckets.iter().map(|bucket| percent(bucket.events)).fold(0.0, f64::max);
    let steps = ticks(most, 4);
    let up = Scale::new(steps.last().copied().unwrap_or(100.0), BOTTOM, TOP);
    let width = (RIGHT - LEFT) / latency.buckets.len().max(1) as f64;
    let content = html! {
        @for step in &steps {
            (chart::line("grid", (LEFT, up.place(*step)), (RIGHT, up.place(*step))))
            (words("end", (LEFT - 8.0, up.place(*step) + HALF_LETTER), &format!("{} %", at(*step))))
        }
        @for (column, bucket) in latency.buckets.iter().enumerate() {
            @let left = LEFT + width * column as f64;
            @let top = up.place(percent(bucket.events));
            @if bucket.events > 0 { (block("bar", (left + 2.0, top), (width - 4.0, BOTTOM - top))) }
            (words("end", (left + width, BOTTOM + 18.0), &bucket.below_ms.to_string()))
        }
        (words("end", (RIGHT, BOTTOM + 36.0), "less than so many milliseconds"))
    };
    let description = format!(
        "half of {} events took less than {}, 99 of 100 less than {}, the longest {}",
        count(latency.events as u64),
        millis(latency.p50_ms),
        millis(latency.p99_ms),
        millis(latency.max_ms)
    );
    drawing("plot-latency", "From append to receipt", &description, (WIDTH, BOTTOM + 44.0), &content)
}

#[cfg(test)]
mod tests {
    use super::super::samples::figures;
    use super::*;

    #[test]
    fn every_top_rate_has_a_bar_and_the_longest_is_the_floors() {
        let drawn = bars(&figures()).into_string();
        assert_eq!(drawn.matches("<rect ").count(), 2, "{drawn}");
        assert!(drawn.contains(r#"<rect class="bar floor" x="190" y="5" width="380" height="20"></rect>"#), "{drawn}");
        assert!(drawn.contains("at least &lt;once&gt;: 19 500") && !drawn.contains("<once>"), "{drawn}");
    }

    #[test]
    fn a_timeline_goes_through_every_point() {
        let case = &figures()[2];
        let drawn = timeline(case).into_string();
        let points = drawn.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert_eq!(points.split(' ').count(), case.timeline.len(), "{drawn}");
        assert!(points.ends_with(" 610,39.6"), "{points}");
        assert_eq!(range(case).unwrap(), ["1 050", "1 150", "1 200"]);
        assert_eq!(range(&figures()[3]), None);
    }

    #[test]
    fn a_histogram_has_a_bar_for_every_bucket_that_holds_something() {
        let drawn = histogram(figures()[2].latency.as_ref().unwrap()).into_string();
        assert_eq!(drawn.matches("<rect ").count(), 4, "{drawn}");
        assert!(drawn.contains("half of 2 000 events took less than 1.3 ms"), "{drawn}");
    }
}
