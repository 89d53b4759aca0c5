//! The page of a run: one file that needs nothing but itself, readable on a phone. Distributions are drawn as SVG.

use std::fmt::{self, Write as _};

use super::readable;
use super::words;
use crate::lab::conditions::Conditions;
use crate::lab::latency::introduction;
use crate::lab::report::json::Setting;
use crate::lab::report::table::TAINTED;
use crate::lab::run::Cell;
use crate::lab::statistics::{Figure, distribution};

/// Colours that people who see few colours can tell apart; lines differ in their dashes too.
const STROKES: [(&str, &str); 6] = [
    ("#0072b2", ""),
    ("#d55e00", "7 3"),
    ("#009e73", "2 3"),
    ("#cc79a7", "9 3 2 3"),
    ("#8c6d00", "4 4"),
    ("#56b4e9", "1 2"),
];

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 16px/1.45 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: currentColor; font: 13px system-ui, sans-serif; }
.grid { stroke: currentColor; stroke-opacity: .2; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #8886; }
th:first-child, td:first-child { text-align: left; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
";

/// The whole page.
pub(crate) fn page(setting: &Setting, cells: &[Cell<'_>]) -> String {
    let mut page = String::new();
    write_page(&mut page, setting, cells).expect("a string takes everything");
    page
}

fn write_page(page: &mut String, setting: &Setting, cells: &[Cell<'_>]) -> fmt::Result {
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str("<title>Quince link lab</title>\n<style>");
    page.push_str(STYLE);
    page.push_str("</style>\n<h1>QUIC and TLS over TCP on the same bad link</h1>\n<ul>\n");
    for sentence in words::sentences(cells) {
        writeln!(page, "<li>{}</li>", escape(&sentence))?;
    }
    page.push_str("</ul>\n");
    for conditions in &setting.conditions {
        let peers: Vec<_> = cells
            .iter()
            .filter(|cell| cell.conditions == *conditions)
            .collect();
        section(page, setting, conditions, &peers)?;
    }
    page.push_str("<h2>How it was measured</h2>\n<ul>\n");
    for line in introduction(setting) {
        writeln!(page, "<li>{}</li>", escape(&line))?;
    }
    writeln!(page, "<li>Begun {}.</li>", escape(&setting.started))?;
    let command = escape(&setting.command.join(" "));
    writeln!(page, "</ul>\n<pre>{command}</pre>\n</html>")
}

fn section(
    page: &mut String,
    setting: &Setting,
    conditions: &Conditions,
    peers: &[&Cell<'_>],
) -> fmt::Result {
    let floor = if conditions.is_undisturbed() {
        " (noise floor)"
    } else {
        ""
    };
    writeln!(page, "<h2>{}{floor}</h2>", escape(&conditions.to_string()))?;
    chart(page, setting, conditions, peers)?;
    page.push_str("<div class=\"scroll\"><table>\n<tr><th>ms</th>");
    for figure in Figure::ALL {
        write!(page, "<th>{}</th>", figure.name())?;
    }
    page.push_str("<th>p99 by seed</th><th>received</th><th>lost</th><th>twice</th></tr>\n");
    for cell in peers {
        let mark = if cell.provisional { TAINTED } else { "" };
        let name = escape(&cell.contender.to_string());
        write!(page, "<tr><td>{name}{mark}</td>")?;
        for figure in Figure::ALL {
            write!(
                page,
                "<td>{}</td>",
                readable(figure.of(&cell.sample.pooled))
            )?;
        }
        let (low, high) = cell.sample.spread(Figure::P99).unzip();
        let counts = cell.counts;
        writeln!(
            page,
            "<td>{} to {}</td><td>{} of {}</td><td>{}</td><td>{}</td></tr>",
            readable(low),
            readable(high),
            counts.received,
            counts.scheduled,
            counts.lost,
            counts.duplicated
        )?;
    }
    page.push_str("</table></div>\n");
    if peers.iter().any(|cell| cell.provisional) {
        page.push_str("<p>* of tainted trials only: nothing may be concluded from it.</p>\n");
    }
    Ok(())
}

/// Where the drawing lies in its 640 by 330 units.
const LEFT: f64 = 48.0;
const RIGHT: f64 = 628.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 262.0;

/// Latency to the right, in powers of ten; the share of the messages upwards.
struct Axes {
    least: f64,
    most: f64,
}

impl Axes {
    /// Wide enough for all points, and from and to a 1, 2 or 5 of a power of ten.
    fn around(curves: &[Vec<(f64, f64)>]) -> Self {
        let values = || curves.iter().flatten().map(|point| point.0);
        let least = values().fold(f64::INFINITY, f64::min).clamp(0.01, 1e6);
        let most = values().fold(0.0, f64::max).clamp(least * 1.5, 1e7);
        let ticks = ticks();
        let mut below = ticks.iter().copied().filter(|tick| *tick <= least);
        let above = ticks.iter().copied().find(|tick| *tick >= most);
        Self {
            least: below.next_back().unwrap_or(least),
            most: above.unwrap_or(most),
        }
    }

    fn x(&self, milliseconds: f64) -> f64 {
        let share = (milliseconds / self.least).ln() / (self.most / self.least).ln();
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn y(share: f64) -> f64 {
        BOTTOM - share * (BOTTOM - TOP)
    }
}

/// 1, 2 and 5 of each power of ten from 0.01 ms to three hours.
fn ticks() -> Vec<f64> {
    (-2..=7)
        .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)))
        .collect()
}

fn chart(
    page: &mut String,
    setting: &Setting,
    conditions: &Conditions,
    peers: &[&Cell<'_>],
) -> fmt::Result {
    let curves: Vec<_> = peers
        .iter()
        .map(|cell| distribution(&cell.sample.pooled, cell.counts.scheduled))
        .collect();
    let axes = Axes::around(&curves);
    let label = format!("Share of the messages by one-way latency at {conditions}");
    writeln!(
        page,
        "<svg viewBox=\"0 0 640 330\" role=\"img\" aria-label=\"{}\">",
        escape(&label)
    )?;
    for share in [0.0, 0.25, 0.5, 0.75, 0.9, 1.0] {
        let y = Axes::y(share);
        let percent = share * 100.0;
        writeln!(
            page,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{percent}%</text>",
            LEFT - 5.0,
            y + 4.0
        )?;
    }
    for tick in ticks() {
        if (axes.least..=axes.most).contains(&tick) {
            let x = axes.x(tick);
            writeln!(
                page,
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{BOTTOM}\"/><text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{tick}</text>",
                BOTTOM + 17.0
            )?;
        }
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    let below = BOTTOM + 35.0;
    writeln!(
        page,
        "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">one-way latency, ms (logarithmic)</text>"
    )?;
    for (place, (cell, curve)) in peers.iter().zip(&curves).enumerate() {
        // The same contender looks the same in every chart.
        let number = setting
            .contenders
            .iter()
            .position(|contender| contender == cell.contender)
            .unwrap_or(place);
        let (colour, dashes) = STROKES[number % STROKES.len()];
        let stroke = format!(
            "fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\" stroke-dasharray=\"{dashes}\""
        );
        let mut path = String::new();
        for (index, (milliseconds, share)) in curve.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            write!(
                path,
                "{command}{:.1} {:.1}",
                axes.x(*milliseconds),
                Axes::y(*share)
            )?;
        }
        writeln!(page, "<path {stroke} d=\"{path}\"/>")?;
        let x = 60 + 190 * (place % 3);
        let y = 314 + 16 * (place / 3);
        writeln!(
            page,
            "<path {stroke} d=\"M{x} {}h28\"/><text x=\"{}\" y=\"{y}\">{}</text>",
            y - 4,
            x + 34,
            escape(&cell.contender.to_string())
        )?;
    }
    page.push_str("</svg>\n");
    Ok(())
}

/// Text as text, whatever is in it.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::super::conditions::Even;
    use super::super::super::load::Load;
    use super::super::super::run::Counts;
    use super::super::super::statistics::Sample;
    use super::super::super::tally;
    use super::super::super::trial::Leg;
    use super::*;

    #[test]
    fn the_page_needs_nothing_but_itself_and_escapes_what_it_is_told() {
        let contender = "quic".parse().expect("a contender");
        let conditions = Conditions::Even(Even {
            rtt: 50.0,
            loss: 1.0,
            jitter: 0.0,
        });
        let mut latencies = tally::histogram();
        for value in [25_000, 26_000, 80_000] {
            latencies.record(value).expect("in bounds");
        }
        let load = Load {
            topics: 1,
            rate: 1.0,
            payload: 64,
            qos: 0,
            seconds: 4.0,
        };
        let mut setting = Setting::new(load, Leg::Publisher);
        setting.conditions = vec![conditions.clone()];
        setting.contenders = vec![contender];
        setting.command = vec!["quince-lab".to_owned(), "--json=<&>".to_owned()];
        let cell = Cell {
            conditions,
            contender: &setting.contenders[0],
            sample: Sample::new([&latencies]),
            provisional: false,
            counts: Counts {
                clean: 1,
                scheduled: 4,
                received: 3,
                lost: 1,
                ..Counts::default()
            },
        };
        let page = page(&setting, &[cell]);
        for outside in ["http", "src=", "href=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("--json=&lt;&amp;&gt;"));
        assert!(page.contains("<td>3 of 4</td><td>1</td><td>0</td>"));
        assert!(page.contains("width=device-width"));
        assert!(page.matches("<path").count() > 10);
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }

    #[test]
    fn the_axis_holds_all_points_and_grows_to_the_right() {
        let axes = Axes::around(&[vec![(25.1, 0.0), (25.2, 0.5)], vec![(1_300.0, 1.0)]]);
        assert!((axes.least - 20.0).abs() < 1e-9 && (axes.most - 2_000.0).abs() < 1e-9);
        assert!((axes.x(20.0) - LEFT).abs() < 1e-9);
        assert!((axes.x(2_000.0) - RIGHT).abs() < 1e-9);
        assert!(axes.x(100.0) > axes.x(50.0));
        assert!((axes.x(200.0) - f64::midpoint(LEFT, RIGHT)).abs() < 1e-6);
        let empty = Axes::around(&[vec![]]);
        assert!(empty.most > empty.least);
    }
}
