//! From trials to statements: percentiles over all messages, their spread over the seeds, and what may be called a
//! difference.
//!
//! Two contenders differ in a figure only if every seed of one is below every seed of the other, and the medians over the
//! seeds are further apart than the noise floor. Everything else is a tie. With three seeds each, equals are separated by
//! chance in one of ten comparisons: the rule guards against overstatement, it does not make a proof.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::tally;

/// Fewer seeds than this allow no statement at all.
pub(crate) const SEEDS_FOR_A_STATEMENT: usize = 3;

/// A percentile that is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    P50,
    P90,
    P99,
    Max,
}

impl Figure {
    pub(crate) const ALL: [Self; 4] = [Self::P50, Self::P90, Self::P99, Self::Max];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::Max => "max",
        }
    }

    /// The value in milliseconds; `None` when nothing was received.
    pub(crate) fn of(self, latencies: &Histogram<u64>) -> Option<f64> {
        let quantile = match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P99 => 0.99,
            Self::Max => 1.0,
        };
        (!latencies.is_empty()).then(|| milliseconds(latencies.value_at_quantile(quantile)))
    }
}

pub(crate) fn milliseconds(microseconds: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a histogram ends far below 2^53 microseconds"
    )]
    let microseconds = microseconds as f64;
    microseconds / 1_000.0
}

/// The four figures of a set of latencies, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) p50: Option<f64>,
    pub(crate) p90: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) max: Option<f64>,
}

impl Figures {
    pub(crate) fn of(latencies: &Histogram<u64>) -> Self {
        Self {
            p50: Figure::P50.of(latencies),
            p90: Figure::P90.of(latencies),
            p99: Figure::P99.of(latencies),
            max: Figure::Max.of(latencies),
        }
    }

    pub(crate) fn figure(&self, figure: Figure) -> Option<f64> {
        match figure {
            Figure::P50 => self.p50,
            Figure::P90 => self.p90,
            Figure::P99 => self.p99,
            Figure::Max => self.max,
        }
    }
}

/// All seeds of one contender under the same conditions.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// All messages of all seeds.
    pub(crate) pooled: Histogram<u64>,
    /// The figures of each seed alone.
    pub(crate) by_seed: Vec<Figures>,
}

impl Sample {
    /// Puts the latencies of each seed together.
    pub(crate) fn new<'a>(seeds: impl IntoIterator<Item = &'a Histogram<u64>>) -> Self {
        let mut sample = Self {
            pooled: tally::histogram(),
            by_seed: Vec::new(),
        };
        for latencies in seeds {
            sample
                .pooled
                .add(latencies)
                .expect("histograms of one trial and of all have the same bounds");
            sample.by_seed.push(Figures::of(latencies));
        }
        sample
    }

    /// The figure of each seed in rising order; empty when a seed received nothing.
    fn values(&self, figure: Figure) -> Vec<f64> {
        let values: Option<Vec<_>> = self
            .by_seed
            .iter()
            .map(|seed| seed.figure(figure))
            .collect();
        let mut values = values.unwrap_or_default();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The median over the seeds.
    pub(crate) fn typical(&self, figure: Figure) -> Option<f64> {
        median(&self.values(figure))
    }

    /// Smallest and largest of the seeds.
    pub(crate) fn spread(&self, figure: Figure) -> Option<(f64, f64)> {
        let values = self.values(figure);
        Some((*values.first()?, *values.last()?))
    }
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len().checked_sub(1)? / 2;
    if sorted.len() % 2 == 1 {
        Some(sorted[middle])
    } else {
        Some(f64::midpoint(sorted[middle], sorted[middle + 1]))
    }
}

/// How far apart the figures of an undisturbed link lie, over all contenders and seeds: what the machine alone does.
/// `None` where there are no figures.
pub(crate) fn noise_floor<'a>(
    undisturbed: impl IntoIterator<Item = &'a Sample>,
    figure: Figure,
) -> Option<f64> {
    let values: Vec<_> = undisturbed
        .into_iter()
        .flat_map(|sample| sample.values(figure))
        .collect();
    let smallest = values.iter().copied().reduce(f64::min)?;
    let largest = values.iter().copied().reduce(f64::max)?;
    Some(largest - smallest)
}

/// What a comparison of two contenders comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Comparison {
    /// The first has the smaller latency.
    First,
    /// The second has the smaller latency.
    Second,
    /// They cannot be told apart.
    Tie,
    /// There are too few seeds, or nothing was received, to say anything.
    Unknown,
}

/// Compares one figure of two contenders.
pub(crate) fn compare(first: &Sample, second: &Sample, figure: Figure, noise: f64) -> Comparison {
    let (a, b) = (first.values(figure), second.values(figure));
    if a.len().min(b.len()) < SEEDS_FOR_A_STATEMENT {
        return Comparison::Unknown;
    }
    let (Some(middle_a), Some(middle_b)) = (median(&a), median(&b)) else {
        return Comparison::Unknown;
    };
    if (middle_a - middle_b).abs() <= noise {
        return Comparison::Tie;
    }
    if a[a.len() - 1] < b[0] {
        Comparison::First
    } else if b[b.len() - 1] < a[0] {
        Comparison::Second
    } else {
        Comparison::Tie
    }
}

/// Points of the cumulative distribution, as (milliseconds, share of the messages that took no longer), rising in both.
pub(crate) fn distribution(latencies: &Histogram<u64>, sent: u64) -> Vec<(f64, f64)> {
    // Fine where people look: at the tail.
    const SHARES: u32 = 100;
    let mut points: Vec<(f64, f64)> = Vec::new();
    let shares = (0..=SHARES)
        .map(|step| f64::from(step) / f64::from(SHARES))
        .chain((1..SHARES).map(|step| 0.99 + 0.01 * f64::from(step) / f64::from(SHARES)));
    let mut shares: Vec<_> = shares.collect();
    shares.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let arrived = latencies.len() as f64 / sent.max(1) as f64;
    if latencies.is_empty() {
        return points;
    }
    for share in shares {
        let point = (
            milliseconds(latencies.value_at_quantile(share)),
            share * arrived,
        );
        if points.last().is_none_or(|last| *last != point) {
            points.push(point);
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One seed whose messages took these milliseconds.
    fn seed(milliseconds: &[u64]) -> Histogram<u64> {
        let mut latencies = tally::histogram();
        for value in milliseconds {
            latencies.record(value * 1_000).expect("within the bounds");
        }
        latencies
    }

    /// One sample whose seeds each have the one latency.
    fn seeds(medians: &[u64]) -> Sample {
        let all: Vec<_> = medians.iter().map(|value| seed(&[*value])).collect();
        Sample::new(&all)
    }

    fn near(value: Option<f64>, expected: f64) -> bool {
        // Three significant digits are kept.
        value.is_some_and(|value| (value - expected).abs() <= expected / 1_000.0)
    }

    #[test]
    fn percentiles_are_over_messages_not_over_seeds() {
        let hundred: Vec<_> = (1..=100).collect();
        let figures = Figures::of(&seed(&hundred));
        assert!(near(figures.p50, 50.0), "{figures:?}");
        assert!(near(figures.p90, 90.0), "{figures:?}");
        assert!(near(figures.p99, 99.0), "{figures:?}");
        assert!(near(figures.max, 100.0), "{figures:?}");
        let sample = Sample::new(&[seed(&hundred), seed(&[500])]);
        assert!(near(Figure::Max.of(&sample.pooled), 500.0));
        assert!(near(Figure::P50.of(&sample.pooled), 51.0));
        assert_eq!(sample.pooled.len(), 101);
        assert_eq!(Figures::of(&seed(&[])).p50, None);
    }

    #[test]
    fn the_typical_seed_is_the_median_and_the_spread_its_ends() {
        let sample = seeds(&[30, 10, 20]);
        assert!(near(sample.typical(Figure::P50), 20.0));
        let (low, high) = sample.spread(Figure::P50).expect("seeds");
        assert!(near(Some(low), 10.0) && near(Some(high), 30.0));
        assert!(near(seeds(&[10, 20, 30, 40]).typical(Figure::P50), 25.0));
        assert_eq!(seeds(&[]).typical(Figure::P50), None);
    }

    #[test]
    fn only_what_is_separated_in_every_seed_differs() {
        let compare = |a: &[u64], b: &[u64]| compare(&seeds(a), &seeds(b), Figure::P50, 0.5);
        assert_eq!(compare(&[10, 11, 12], &[13, 14, 15]), Comparison::First);
        assert_eq!(compare(&[13, 14, 15], &[10, 11, 12]), Comparison::Second);
        assert_eq!(compare(&[10, 11, 14], &[13, 15, 16]), Comparison::Tie);
        assert_eq!(compare(&[10, 11, 12], &[10, 11, 12]), Comparison::Tie);
        assert_eq!(compare(&[10, 11], &[20, 21]), Comparison::Unknown);
        assert_eq!(compare(&[10, 11, 12], &[]), Comparison::Unknown);
    }

    #[test]
    fn a_difference_below_the_noise_floor_is_a_tie() {
        let (a, b) = (seeds(&[10, 11, 12]), seeds(&[13, 14, 15]));
        assert_eq!(compare(&a, &b, Figure::P50, 2.9), Comparison::First);
        assert_eq!(compare(&a, &b, Figure::P50, 3.1), Comparison::Tie);
    }

    #[test]
    fn a_seed_that_received_nothing_allows_no_statement() {
        let silent = Sample::new(&[seed(&[10]), seed(&[]), seed(&[11])]);
        let other = seeds(&[90, 91, 92]);
        assert_eq!(
            compare(&silent, &other, Figure::P50, 0.0),
            Comparison::Unknown
        );
    }

    #[test]
    fn the_noise_floor_is_the_range_over_contenders_and_seeds() {
        let samples = [seeds(&[25, 26, 25]), seeds(&[27, 25, 25])];
        assert!(near(noise_floor(&samples, Figure::P50), 2.0));
        assert_eq!(noise_floor(&[], Figure::P50), None);
    }

    #[test]
    fn the_distribution_ends_at_the_share_that_arrived() {
        let latencies = seed(&[10, 20, 30, 40]);
        let points = distribution(&latencies, 8);
        let (last, share) = points[points.len() - 1];
        assert!(near(Some(last), 40.0));
        assert!(
            (share - 0.5).abs() < 1e-9,
            "half of the messages never came"
        );
        assert!(points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1));
        assert!(distribution(&seed(&[]), 8).is_empty());
    }
}
