//! `--svg`: a picture of the latencies and of the course, which needs nothing else and follows the reader's choice
//! between light and dark.

mod axis;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::time::Duration;

use hdrhistogram::Histogram;
use roundtrip_core::text::is_hidden;

use super::record::{Course, Record};
use crate::units::latency;
use axis::{Axis, Unit, number};

/// The picture, and in it the panels, in pixels.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 700.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 876.0;
const LATENCY: (f64, f64) = (380.0, 160.0);
const COURSE: (f64, f64) = (630.0, 450.0);
/// Steps of the curve from one halving of the distance to 100 % to the next.
const STEPS: u32 = 16;
/// Characters that fit into a line of the head, in its large letters and in the small ones, and of the foot.
const LARGE: usize = 86;
const HEAD: usize = 108;
const FOOT: usize = 125;
/// Ticks that are nearer than this share a label.
const CROWDED: f64 = 40.0;
/// A rate that is so many times that of nine steps in ten is cut off: after a standstill all that waited is back at once,
/// and would leave no room for the rest.
const BURST: f64 = 3.0;
/// So many messages must have been missed for a standstill to be one.
const MISSED: f64 = 10.0;
/// Half of the width that is told of a standstill.
const TOLD: f64 = 110.0;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1f2328; white-space: pre }
.back { fill: #ffffff } .head { font-weight: 600; font-size: 16px } .long { font-size: 13px } .foot { font: 12px ui-monospace, monospace }
.tick, .foot { fill: #59636e } .value { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
.middle { text-anchor: middle } .end { text-anchor: end }
.grid { stroke: #d1d9e0 } .curve, .longest { fill: none; stroke-width: 1.5; stroke-linecap: square }
.curve, .longest { stroke: #bc4c00 } .dot, .right { fill: #bc4c00 } .left { fill: #0969da } .still { fill: #bc4c00; fill-opacity: .15 }
.rate { fill: #0969da; fill-opacity: .3; stroke: #0969da } .bad { fill: #cf222e } .good { fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .back { fill: #0d1117 } .tick, .foot { fill: #9198a1 } .value { stroke: #0d1117 }
.grid { stroke: #30363d } .curve, .longest { stroke: #f0883e } .dot, .right { fill: #f0883e }
.left { fill: #4493f8 } .still { fill: #f0883e } .rate { fill: #4493f8; stroke: #4493f8 } .bad { fill: #f85149 } .good { fill: #3fb950 }
}";

/// The picture.
pub(super) fn picture(head: &str, told: &str, again: &str, record: &Record, took: Duration) -> String {
    let figures = told[head.len()..].trim_start().lines().map(str::trim);
    let headline = head.lines().next().unwrap_or_default();

    let mut picture = Picture(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n<style>\n{STYLE}\n</style>\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n",
        escaped(headline),
        escaped(&format!("{told}\nagain: {again}")),
    ));
    let verdict = if headline.starts_with("ok") { "head good" } else { "head bad" };
    let size = if headline.chars().count() > LARGE { " long" } else { "" };
    picture.text(&format!("{verdict}{size}"), 24.0, 34.0, &cut(headline, HEAD));
    for (y, line) in [58.0, 78.0, 98.0, 118.0].into_iter().zip(figures) {
        picture.text("figures", 24.0, y, line);
    }
    picture.latency(&record.latency);
    picture.course(&Step::all(&record.course, took), record.course.width());
    picture.text("foot", 24.0, HEIGHT - 16.0, &cut(again, FOOT));
    picture.0.push_str("</svg>\n");
    picture.0
}

/// What happened from one time to another, in nanoseconds.
struct Step {
    from: f64,
    to: f64,
    messages: u64,
    longest: f64,
}

impl Step {
    /// The course until all was over. What little of the last interval there is counts with the one before:
    /// no rate is to be had from it.
    fn all(course: &Course, took: Duration) -> Vec<Self> {
        let (width, took) = (nanos(course.width()), nanos(took));
        let mut from = 0.0;
        let mut steps: Vec<Self> = Vec::new();
        for interval in course.intervals() {
            let step = Self {
                from,
                to: from + width,
                messages: interval.messages,
                longest: nanos(interval.longest),
            };
            from = step.to;
            steps.push(step);
        }
        if let Some(mut last) = steps.pop() {
            if !steps.is_empty() || took > 0.0 {
                last.to = took.clamp(last.from, last.to);
            }
            match steps.last_mut() {
                Some(before) if last.to - last.from < width / 2.0 => {
                    before.to = last.to;
                    before.messages += last.messages;
                    before.longest = before.longest.max(last.longest);
                }
                _ => steps.push(last),
            }
        }
        steps
    }

    /// Messages a second.
    fn rate(&self) -> f64 {
        real(self.messages) * 1e9 / (self.to - self.from)
    }

    /// The rate up to which all of them are shown whole: the highest one, unless it is a burst.
    fn most(steps: &[Self]) -> f64 {
        let mut rates: Vec<_> = steps.iter().map(Self::rate).filter(|rate| *rate > 0.0).collect();
        rates.sort_by(f64::total_cmp);
        let (usual, most) = (rates.get(rates.len() * 9 / 10), rates.last().copied().unwrap_or_default());
        usual.copied().filter(|usual| most > BURST * usual).unwrap_or(most)
    }

    /// From when to when nothing came back although much was due, in nanoseconds.
    fn standstills(steps: &[Self]) -> Vec<(f64, f64)> {
        let messages: u64 = steps.iter().map(|step| step.messages).sum();
        let usual = real(messages) / steps.last().map_or(1.0, |step| step.to);
        let still = steps.chunk_by(|one, next| (one.messages == 0) == (next.messages == 0));
        let still = still.filter(|run| run[0].messages == 0).map(|run| (run[0].from, run[run.len() - 1].to));
        still.filter(|(from, to)| (to - from) * usual >= MISSED).collect()
    }
}

struct Picture(String);

impl Picture {
    /// Latency by percentile.
    fn latency(&mut self, latency_of: &Histogram<u64>) {
        self.text("heading", LEFT, LATENCY.1 - 14.0, "latency by percentile");
        let x = Axis::tails(real(latency_of.len()), (LEFT, RIGHT));
        let y = Axis::times((real(latency_of.min()), real(latency_of.max())), LATENCY, 6);
        self.left(&y, "tick end");
        self.below(&x, LATENCY);
        if latency_of.is_empty() {
            return self.nothing(LATENCY);
        }
        let mut path = String::new();
        for value in latency_of.iter_quantiles(STEPS) {
            let at = |quantile: f64| x.at(1.0 / (1.0 - quantile));
            let (x, y) = (at(value.quantile_iterated_to()), y.at(real(value.value_iterated_to())));
            let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { 'M' } else { 'L' });
        }
        self.path("curve", &path);
        let marks =
            x.ticks().iter().skip(1).map(|tail| (*tail, latency_of.value_at_quantile(1.0 - 1.0 / tail)));
        // The longest is told at the end, and is that of the tick there.
        let marks = marks.filter(|(tail, _)| x.at(x.high()) - x.at(*tail) > CROWDED);
        let marks: Vec<_> = marks.chain([(x.high(), latency_of.max())]).collect();
        for (tail, value) in marks {
            let (x, y) = (x.at(tail), y.at(real(value)));
            let _ = writeln!(self.0, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
            let text = latency(Duration::from_nanos(value));
            self.text("value end", (x - 6.0).max(LEFT + 60.0), y - 7.0, &text);
        }
    }

    /// Messages a second, and the longest latency, over time.
    fn course(&mut self, steps: &[Step], width: Duration) {
        let above = COURSE.1 - 14.0;
        self.text("left", LEFT, above, "messages/s");
        let longest = format!("longest latency in each {}", latency(width));
        self.text("right end", RIGHT, above, &longest);
        let end = steps.last().map_or(1e9, |step| step.to);
        let x = Axis::linear(Unit::Nanos, end, (LEFT, RIGHT), 10);
        self.below(&x, COURSE);
        let most = Step::most(steps);
        let y = Axis::raised(Unit::Number, if most > 0.0 { most } else { 1.0 }, COURSE, 5);
        self.left(&y, "left end");
        if most <= 0.0 {
            return self.nothing(COURSE);
        }
        let standstills = Step::standstills(steps);
        for (from, to) in &standstills {
            let (from, to) = (x.at(*from), x.at(*to));
            self.path("still", &format!("M{from:.1} {}H{to:.1}V{}H{from:.1}Z", COURSE.0, COURSE.1));
        }
        let mut path = format!("M{LEFT} {}", COURSE.0);
        for step in steps {
            let _ = write!(path, "V{:.1}H{:.1}", y.at(step.rate()), x.at(step.to));
        }
        let _ = write!(path, "V{}Z", COURSE.0);
        self.path("rate", &path);
        let burst = steps.iter().filter(|step| step.rate() > y.high());
        if let Some(burst) = burst.max_by(|one, other| one.rate().total_cmp(&other.rate())) {
            let at = x.at(burst.from.midpoint(burst.to));
            let (class, at) = if at > LEFT.midpoint(RIGHT) {
                ("value burst end", at - 6.0)
            } else {
                ("value burst", at + 6.0)
            };
            self.text(class, at, COURSE.1 + 12.0, &format!("↑ {}/s", number(burst.rate())));
        }
        let longest =
            standstills.into_iter().max_by(|one, other| (one.1 - one.0).total_cmp(&(other.1 - other.0)));
        if let Some((from, to)) = longest {
            let lasted = latency(Duration::from_secs_f64((to - from) / 1e9));
            let middle = x.at(from.midpoint(to)).clamp(LEFT + TOLD, RIGHT - TOLD);
            self.text("value middle", middle, COURSE.0 - 8.0, &format!("nothing came back for {lasted}"));
        }

        let seen = || steps.iter().filter(|step| step.messages > 0).map(|step| step.longest);
        let y = Axis::times((seen().fold(f64::MAX, f64::min), seen().fold(0.0, f64::max)), COURSE, 5);
        for tick in y.ticks() {
            self.text("right", RIGHT + 8.0, y.at(*tick) + 4.0, &y.label(*tick));
        }
        // Where nothing came back there is a gap.
        let (mut path, mut is_on) = (String::new(), false);
        for step in steps {
            let at = y.at(step.longest);
            if step.messages > 0 {
                let _ = if is_on {
                    write!(path, "V{at:.1}")
                } else {
                    write!(path, "M{:.1} {at:.1}", x.at(step.from))
                };
                let _ = write!(path, "H{:.1}", x.at(step.to));
            }
            is_on = step.messages > 0;
        }
        self.path("longest", &path);
    }

    fn left(&mut self, axis: &Axis, class: &str) {
        for tick in axis.ticks() {
            let y = axis.at(*tick);
            let _ = writeln!(self.0, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>");
            self.text(class, LEFT - 8.0, y + 4.0, &axis.label(*tick));
        }
    }

    fn below(&mut self, axis: &Axis, (bottom, top): (f64, f64)) {
        let mut free = 0.0;
        // From the right, so that it is the first that lacks a label.
        for tick in axis.ticks().iter().rev() {
            let x = axis.at(*tick);
            let _ = writeln!(self.0, "<path class=\"grid\" d=\"M{x:.1} {bottom}V{top}\"/>");
            if free == 0.0 || free - x > CROWDED {
                self.text("tick middle", x, bottom + 20.0, &axis.label(*tick));
                free = x;
            }
        }
    }

    fn nothing(&mut self, (bottom, top): (f64, f64)) {
        self.text(
            "value middle",
            f64::midpoint(LEFT, RIGHT),
            f64::midpoint(bottom, top),
            "no message came back",
        );
    }

    fn path(&mut self, class: &str, path: &str) {
        let _ = writeln!(self.0, "<path class=\"{class}\" d=\"{path}\"/>");
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let _ =
            writeln!(self.0, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(text));
    }
}

/// As text of XML, which has no control characters; what is hidden would reorder what is shown.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push(char),
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            _ if is_hidden(char) => out.push(char::REPLACEMENT_CHARACTER),
            _ => out.push(char),
        }
    }
    out
}

/// So many characters at the most.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

#[expect(clippy::cast_precision_loss, reason = "a pixel is coarser")]
const fn real(number: u64) -> f64 {
    number as f64
}
