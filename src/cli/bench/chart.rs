//! From values to places on a drawing. Pure.

use maud::{Markup, html};

/// Maps 0 to `most` onto `from` to `to`, which may run backwards.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    most: f64,
    from: f64,
    to: f64,
}

impl Scale {
    pub fn new(most: f64, from: f64, to: f64) -> Self {
        Self { most: if most > 0.0 && most.is_finite() { most } else { 1.0 }, from, to }
    }

    /// Where `value` is; what lies beyond the ends is put there.
    pub fn place(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * (value / self.most).clamp(0.0, 1.0)
    }
}

/// Round numbers from 0 up to the first that is not below `most`; about `count` steps.
pub fn ticks(most: f64, count: usize) -> Vec<f64> {
    if !(most > 0.0 && most.is_finite()) {
        return vec![0.0, 1.0];
    }
    let rough = most / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().map(|digit| digit * power).find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let steps = (most / step - 1e-9).ceil() as usize;
    (0..=steps.max(1)).map(|at| at as f64 * step).collect()
}

/// A coordinate: a tenth of a pixel is enough.
pub fn at(place: f64) -> String {
    let text = format!("{place:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A drawing that says in words what it shows.
pub fn drawing(id: &str, title: &str, description: &str, (width, height): (f64, f64), content: &Markup) -> Markup {
    html! {
        svg id=(id) role="img" viewBox=(format!("0 0 {} {}", at(width), at(height)))
            aria-labelledby=(format!("{id}-title {id}-description")) {
            title id=(format!("{id}-title")) { (title) }
            desc id=(format!("{id}-description")) { (description) }
            (content)
        }
    }
}

/// A line from one point to another.
pub fn line(class: &str, (from_x, from_y): (f64, f64), (to_x, to_y): (f64, f64)) -> Markup {
    html! { line class=(class) x1=(at(from_x)) y1=(at(from_y)) x2=(at(to_x)) y2=(at(to_y)) {} }
}

/// Words, `start`ing, in the `middle` or `end`ing at a point.
pub fn words(anchor: &str, (x, y): (f64, f64), text: &str) -> Markup {
    html! { text text-anchor=(anchor) x=(at(x)) y=(at(y)) { (text) } }
}

/// A filled box with its upper left corner at a point.
pub fn block(class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) -> Markup {
    html! { rect class=(class) x=(at(x)) y=(at(y)) width=(at(width.max(0.5))) height=(at(height.max(0.5))) {} }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_place_and_none_is_outside() {
        let across = Scale::new(200.0, 100.0, 500.0);
        assert_eq!(
            [0.0, 50.0, 200.0, 400.0, -3.0].map(|value| across.place(value)),
            [100.0, 200.0, 500.0, 500.0, 100.0]
        );
        let up = Scale::new(10.0, 120.0, 20.0);
        assert_eq!([0.0, 5.0, 10.0].map(|value| up.place(value)), [120.0, 70.0, 20.0]);
        assert_eq!(Scale::new(0.0, 0.0, 10.0).place(0.0), 0.0);
        assert_eq!(Scale::new(f64::NAN, 0.0, 10.0).place(0.5), 5.0);
    }

    #[test]
    fn ticks_are_round_and_reach_the_largest_value() {
        assert_eq!(ticks(64_500.0, 4), [0.0, 20_000.0, 40_000.0, 60_000.0, 80_000.0]);
        assert_eq!(ticks(1.0, 2), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(9.0, 1), [0.0, 10.0]);
        for broken in [0.0, f64::NAN, f64::INFINITY] {
            assert_eq!(ticks(broken, 4), [0.0, 1.0]);
        }
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!((at(12.0), at(12.34), at(0.04)), ("12".to_owned(), "12.3".to_owned(), "0".to_owned()));
    }

    #[test]
    fn a_drawing_says_what_it_shows_and_text_stays_text() {
        let drawn = drawing("d", "a < b", "x & y", (10.0, 5.0), &words("end", (1.0, 2.0), "<script>")).into_string();
        assert!(drawn.contains("<title id=\"d-title\">a &lt; b</title>"), "{drawn}");
        assert!(drawn.contains("aria-labelledby=\"d-title d-description\"") && drawn.contains("x &amp; y"));
        assert!(drawn.contains(">&lt;script&gt;</text>") && drawn.ends_with("</svg>"), "{drawn}");
    }
}
