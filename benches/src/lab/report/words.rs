//! What the figures say, in plain words, computed from them alone.

use super::readable;
use crate::lab::conditions::Conditions;
use crate::lab::run::{Cell, Counts};
use crate::lab::statistics::{Comparison, Figure, SEEDS_FOR_A_STATEMENT, compare, noise_floor};

/// The figures that are put into words. The largest of some thousands is chance.
const SPOKEN: [Figure; 2] = [Figure::P50, Figure::P99];

/// Sentences, one to a line.
pub(crate) fn sentences(cells: &[Cell<'_>]) -> Vec<String> {
    let mut sentences = Vec::new();
    sentences.push(noise(cells));
    let mut spoken: Vec<&Conditions> = Vec::new();
    let mut unsaid = 0;
    for cell in cells {
        if spoken.contains(&&cell.conditions) {
            continue;
        }
        spoken.push(&cell.conditions);
        let peers: Vec<_> = cells
            .iter()
            .filter(|other| other.conditions == cell.conditions)
            .collect();
        if !peers.iter().all(|cell| allows_a_statement(cell)) {
            unsaid += 1;
        } else if peers.len() > 1 {
            for figure in SPOKEN {
                let floor = floor(cells, cell.conditions.rtt(), figure).unwrap_or_default();
                let ranked = ranking(&peers, figure, floor);
                sentences.push(format!("{}, {}: {ranked}.", cell.conditions, figure.name()));
            }
        }
    }
    if unsaid > 0 {
        sentences.push(format!(
            "No statement on differences at {unsaid} of {} kinds of link: it takes {SEEDS_FOR_A_STATEMENT} untainted seeds of each transport.",
            spoken.len()
        ));
    }
    sentences.push(deliveries(cells));
    sentences.push(trials(cells));
    sentences
}

/// The noise floor of links with this round trip time, or of all that are undisturbed.
fn floor(cells: &[Cell<'_>], rtt: f64, figure: Figure) -> Option<f64> {
    let undisturbed = |same: bool| {
        let chosen = cells.iter().filter(move |cell| {
            cell.conditions.is_undisturbed()
                && !cell.provisional
                && (!same || (cell.conditions.rtt() - rtt).abs() < f64::EPSILON)
        });
        noise_floor(chosen.map(|cell| &cell.sample), figure)
    };
    undisturbed(true).or_else(|| undisturbed(false))
}

fn noise(cells: &[Cell<'_>]) -> String {
    let Some(cell) = cells
        .iter()
        .find(|cell| cell.conditions.is_undisturbed() && !cell.provisional)
    else {
        return "No clean undisturbed link was measured, so the machine's own noise is not known: differences may be smaller than it.".to_owned();
    };
    let rtt = cell.conditions.rtt();
    let floors = SPOKEN.map(|figure| {
        let floor = floor(cells, rtt, figure);
        format!("{} ms at {}", readable(floor), figure.name())
    });
    format!(
        "Noise floor (range over transports and seeds with no impairment but delay): {}.",
        floors.join(", ")
    )
}

/// The contenders from the smallest latency to the largest; those that cannot be told from the first of a group are one
/// group.
fn ranking(peers: &[&Cell<'_>], figure: Figure, noise: f64) -> String {
    let mut known: Vec<(&Cell<'_>, f64)> = Vec::new();
    for cell in peers {
        match cell.sample.typical(figure) {
            Some(value) => known.push((cell, value)),
            None => return format!("no statement, {} delivered nothing", cell.contender),
        }
    }
    known.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut groups: Vec<Vec<(&Cell<'_>, f64)>> = Vec::new();
    for member in known {
        match groups.last_mut() {
            Some(group) if !differs(group[0].0, member.0, figure, noise) => group.push(member),
            _ => groups.push(vec![member]),
        }
    }
    let mut text = String::new();
    for (place, group) in groups.iter().enumerate() {
        if place > 0 {
            text.push_str(", then ");
        }
        text.push_str(&describe(group));
        if group.len() > 1 {
            text.push_str(" (a tie)");
        }
        if place > 0 {
            let times = group[0].1 / groups[place - 1][0].1;
            text.push_str(&format!(" ({times:.1} times that)"));
            let before = &groups[place - 1];
            let last = before[before.len() - 1].0;
            if before.len() > 1 && !differs(last, group[0].0, figure, noise) {
                text.push_str(&format!(", not told apart from {}", last.contender));
            }
        }
    }
    text
}

fn allows_a_statement(cell: &Cell<'_>) -> bool {
    !cell.provisional && cell.sample.by_seed.len() >= SEEDS_FOR_A_STATEMENT
}

fn differs(a: &Cell<'_>, b: &Cell<'_>, figure: Figure, noise: f64) -> bool {
    matches!(
        compare(&a.sample, &b.sample, figure, noise),
        Comparison::First | Comparison::Second
    )
}

fn describe(group: &[(&Cell<'_>, f64)]) -> String {
    let members = group
        .iter()
        .map(|(cell, value)| format!("{} {} ms", cell.contender, readable(Some(*value))));
    members.collect::<Vec<_>>().join(" and ")
}

/// How many trials are not in the figures.
fn trials(cells: &[Cell<'_>]) -> String {
    let sum = |count: fn(&Counts) -> u64| cells.iter().map(|cell| count(&cell.counts)).sum::<u64>();
    let repeated = sum(|counts| counts.repeated);
    let tainted = sum(|counts| counts.tainted);
    let failed = sum(|counts| counts.failed);
    if repeated + tainted + failed == 0 {
        return "Every trial was clean at once: the emulator was in time and lost nothing of its own.".to_owned();
    }
    format!(
        "Trials whose link was not the one configured: {repeated} done again, {tainted} stayed so and allow no statement; {failed} failed."
    )
}

/// Which messages never came, or came twice.
fn deliveries(cells: &[Cell<'_>]) -> String {
    let mut parts = Vec::new();
    for cell in cells {
        let counts = cell.counts;
        let name = format!("{} at {}", cell.contender, cell.conditions);
        for (count, what) in [
            (counts.lost, "messages lost"),
            (counts.duplicated, "messages duplicated"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what} ({name})"));
            }
        }
    }
    if parts.is_empty() {
        "No message was lost or duplicated.".to_owned()
    } else {
        format!("Not every message came exactly once: {}.", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;
    use crate::lab::conditions::Even;
    use crate::lab::contender::Contender;
    use crate::lab::statistics::Sample;
    use crate::lab::tally;

    /// A cell whose seeds each have one latency.
    fn cell<'a>(contender: &'a Contender, loss: f64, seeds: &[u64]) -> Cell<'a> {
        let histograms: Vec<Histogram<u64>> = seeds
            .iter()
            .map(|milliseconds| {
                let mut latencies = tally::histogram();
                latencies.record(milliseconds * 1_000).expect("in bounds");
                latencies
            })
            .collect();
        Cell {
            conditions: Conditions::Even(Even {
                rtt: 50.0,
                loss,
                jitter: 0.0,
            }),
            contender,
            sample: Sample::new(&histograms),
            provisional: false,
            counts: Counts::default(),
        }
    }

    fn contenders() -> [Contender; 3] {
        ["tls-cubic", "tls-bbr", "quic"].map(|name| name.parse().expect("a contender"))
    }

    #[test]
    fn ties_are_called_ties_and_differences_have_a_size() {
        let [cubic, bbr, quic] = contenders();
        let cells = [
            cell(&cubic, 0.0, &[25, 25, 25]),
            cell(&bbr, 0.0, &[25, 26, 25]),
            cell(&quic, 0.0, &[25, 25, 26]),
            cell(&cubic, 5.0, &[400, 500, 600]),
            cell(&bbr, 5.0, &[50, 51, 52]),
            cell(&quic, 5.0, &[100, 51, 52]),
        ];
        let text = sentences(&cells).join("\n");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_difference_below_the_noise_is_a_tie() {
        let [cubic, bbr, _] = contenders();
        let cells = [
            cell(&cubic, 0.0, &[25, 25, 35]),
            cell(&bbr, 0.0, &[25, 26, 25]),
            cell(&cubic, 1.0, &[36, 37, 38]),
            cell(&bbr, 1.0, &[30, 31, 32]),
        ];
        let text = sentences(&cells).join("\n");
        assert!(
            text.contains(
                "RTT 50 ms, 1 % loss, p50: tls-bbr 31.0 ms and tls-cubic 37.0 ms (a tie)."
            ),
            "{text}"
        );
    }

    #[test]
    fn too_few_seeds_give_no_statement_and_losses_are_named() {
        let [cubic, bbr, _] = contenders();
        let mut losing = cell(&cubic, 5.0, &[400]);
        losing.counts.lost = 7;
        let text = sentences(&[losing, cell(&bbr, 5.0, &[50])]).join("\n");
        assert!(
            text.contains("No statement on differences at 1 of 1 kinds of link"),
            "{text}"
        );
        assert!(
            text.contains("7 messages lost (tls-cubic at RTT 50 ms, 5 % loss)"),
            "{text}"
        );
        assert!(
            text.contains("No clean undisturbed link was measured"),
            "{text}"
        );
    }
}
