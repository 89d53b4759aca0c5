//! What came out: a line of JSON for each measurement, and one table with ratios.

use std::collections::BTreeMap;
use std::fs::{File, read_to_string};
use std::io::Write;
use std::time::Duration;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::LoadError;
use crate::args::Arguments;
use crate::case::Case;
use crate::measure::{Outcome, Spread};
use crate::target::Target;

/// Figures of one case on one broker, one of each round.
#[derive(Debug, Default)]
struct Figures {
    /// Messages or connections per second.
    rates: Vec<f64>,
    /// Microseconds of processor time for each.
    cpu: Vec<f64>,
    /// Percentiles 50 and 99 in microseconds.
    medians: Vec<f64>,
    tails: Vec<f64>,
    /// KiB of memory for each connection.
    memory: Vec<f64>,
}

/// Collects outcomes, and prints them at the end.
#[derive(Debug)]
pub(crate) struct Report {
    figures: BTreeMap<(usize, String), Figures>,
    cases: Vec<Case>,
    json: Option<File>,
    markdown: bool,
}

impl Report {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, LoadError> {
        Ok(Self {
            figures: BTreeMap::new(),
            cases: Vec::new(),
            json: arguments.json.as_ref().map(File::create).transpose()?,
            markdown: arguments.markdown,
        })
    }

    /// Takes one outcome, and says on stderr that it is there.
    pub(crate) fn add(
        &mut self,
        round: u16,
        case: &Case,
        target: &Target,
        outcome: Outcome,
    ) -> Result<(), LoadError> {
        let place = match self.cases.iter().position(|known| known == case) {
            Some(place) => place,
            None => {
                self.cases.push(*case);
                self.cases.len() - 1
            }
        };
        let figures = self
            .figures
            .entry((place, target.name.clone()))
            .or_default();
        let mut line = json!({
            "round": round, "case": case.to_string(), "target": target.name, "load_average": load_average(),
        });
        figures.add(&outcome, &mut line);
        if let Some(file) = &mut self.json {
            writeln!(file, "{line}")?;
        }
        writeln!(anstream::stderr(), "{line}")?;
        Ok(())
    }

    pub(crate) fn finish(&self, targets: &[Target], cases: &[Case]) -> Result<(), LoadError> {
        let mut table = Table::new();
        let style = if self.markdown {
            presets::ASCII_MARKDOWN
        } else {
            presets::NOTHING
        };
        table.load_style(style);
        table.set_header([
            "case",
            "broker",
            "per second: median [quartiles]",
            "ratio",
            "CPU us each",
            "p50 / p99 us",
            "KiB each",
        ]);
        for (place, case) in cases.iter().enumerate() {
            let first = targets
                .first()
                .and_then(|target| self.figures.get(&(place, target.name.clone())));
            for target in targets {
                if let Some(figures) = self.figures.get(&(place, target.name.clone())) {
                    table.add_row(figures.row(case, &target.name, first));
                }
            }
        }
        writeln!(anstream::stdout(), "{table}")?;
        Ok(())
    }
}

impl Figures {
    fn add(&mut self, outcome: &Outcome, line: &mut Value) {
        let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
        match outcome {
            Outcome::Rate { per_second, cpu } => {
                self.rates.push(*per_second);
                self.cpu.extend(cpu.map(micros));
                line["per_second"] = json!(per_second.round());
                line["cpu_us"] = json!(cpu.map(micros));
            }
            Outcome::Latency {
                histogram,
                missing,
                cpu,
            } => {
                let percentile = |share: f64| histogram.value_at_quantile(share) as f64 / 1e3;
                self.medians.push(percentile(0.5));
                self.tails.push(percentile(0.99));
                self.cpu.extend(cpu.map(micros));
                line["messages"] = json!(histogram.len());
                line["missing"] = json!(missing);
                line["p50_us"] = json!(percentile(0.5));
                line["p99_us"] = json!(percentile(0.99));
                line["max_us"] = json!(histogram.max() as f64 / 1e3);
                line["cpu_us"] = json!(cpu.map(micros));
            }
            Outcome::Memory { bytes } => {
                self.memory.extend(bytes.map(|bytes| bytes / 1024.0));
                line["kib_each"] = json!(bytes.map(|bytes| bytes / 1024.0));
            }
        }
    }

    fn row(&self, case: &Case, target: &str, first: Option<&Self>) -> Vec<String> {
        let median = |values: &[f64]| Spread::of(values.to_vec()).map(|spread| spread.median);
        let short =
            |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.1}"));
        let rates = Spread::of(self.rates.clone()).map_or_else(String::new, |spread| {
            format!(
                "{:.0} [{:.0}..{:.0}]",
                spread.median, spread.lower, spread.upper
            )
        });
        let latency = match (median(&self.medians), median(&self.tails)) {
            (Some(middle), Some(tail)) => format!("{middle:.0} / {tail:.0}"),
            _ => String::new(),
        };
        vec![
            case.to_string(),
            target.to_owned(),
            rates,
            first
                .and_then(|first| ratio(&self.rates, &first.rates))
                .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            short(median(&self.cpu)),
            latency,
            short(median(&self.memory)),
        ]
    }
}

/// The median of the ratios within each round.
fn ratio(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let ratios = ours
        .iter()
        .zip(theirs)
        .filter(|(_, theirs)| **theirs > 0.0)
        .map(|(ours, theirs)| ours / theirs)
        .collect();
    Spread::of(ratios).map(|spread| spread.median)
}

/// Of the last minute; how busy the machine was beside us.
fn load_average() -> Option<f64> {
    let text = read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        assert_eq!(ratio(&[2.0, 40.0, 6.0], &[1.0, 10.0, 2.0]), Some(3.0));
        assert_eq!(ratio(&[2.0], &[0.0]), None);
        assert_eq!(ratio(&[], &[1.0]), None);
    }
}
