//! `quince-lab rebind`: the client's address changes in the middle of a stream of messages, as behind a home router or
//! between Wi-Fi and mobile. What survives?
//!
//! The client does nothing about it: it does not connect again, and QUIC migrates by what the broker's transport does on
//! its own. So the figures are of the transport, not of a reconnecting client.

use std::io::Write as _;
use std::time::Duration;

use quince_link::{OldMapping, Public, Rebind};
use serde_json::json;

use super::args::{Move, Old, RebindArgs};
use super::conditions::{Conditions, Even};
use super::report::{json, readable, table};
use super::run::{self, Done, Effort};
use super::trial::{Interruption, Leg, Trial};
use super::{Failure, Trust, preflight};

/// How long is waited for what still may come. A TCP that tries again has done so four times by then: after 0.2, 0.6, 1.4
/// and 3 s, or so.
const PATIENCE: Duration = Duration::from_secs(4);

/// Measures, prints, and writes what was asked for.
pub(super) fn run(args: &RebindArgs) -> Result<Trust, Failure> {
    let json = match &args.json {
        Some(file) => Some((file, super::latency::create(file)?)),
        None => None,
    };
    preflight::check(&args.transports)?;
    let mut trials = Vec::new();
    for old in &args.old {
        for contender in &args.transports {
            trials.push(Trial {
                contender: contender.clone(),
                conditions: Conditions::Even(Even {
                    rtt: args.rtt,
                    loss: 0.0,
                    jitter: 0.0,
                }),
                load: args.load.load(args.duration),
                leg: Leg::Publisher,
                seed: 1,
                patience: PATIENCE,
                interruption: Some(Interruption {
                    after: Duration::from_secs_f64(args.duration / 2.0),
                    rebind: Rebind {
                        to: match args.to {
                            Move::Port => Public::Port,
                            Move::Address => Public::PortAndAddress,
                        },
                        old: match old {
                            Old::Kept => OldMapping::Kept,
                            Old::Reset => OldMapping::Reset,
                            Old::Silent => OldMapping::Silent,
                        },
                    },
                }),
            });
        }
    }
    // What counts here are counts, which a late emulator does not change: nothing is done again.
    let effort = Effort {
        parallel: 3,
        repeats: 0,
        repeat_until: Duration::ZERO,
        quiet: false,
    };
    let done = run::all(trials, Vec::new(), effort, &|_| Ok(()))?;
    print(args, &done)?;
    if let Some((file, mut out)) = json {
        let written = done.iter().try_for_each(|one| {
            let old = one
                .trial
                .interruption
                .map(|interruption| format!("{:?}", interruption.rebind.old));
            writeln!(
                out,
                "{}",
                json!({ "rebind": old, "trial": json::trial(one) })
            )
        });
        written
            .and_then(|()| out.flush())
            .map_err(|source| super::latency::unwritable(file, source))?;
    }
    let trusted = done.iter().all(|one| one.clean().is_some());
    Ok(if trusted { Trust::Yes } else { Trust::No })
}

fn print(args: &RebindArgs, done: &[Done]) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let changes = match args.to {
        Move::Port => "port",
        Move::Address => "port and address",
    };
    writeln!(
        out,
        "The client's public {changes} changes after {} s of {}; the publisher is across the link, {} ms round trip, no loss.",
        args.duration / 2.0,
        args.duration,
        args.rtt
    )?;
    let mut table = table::plain([
        "old mapping",
        "transport",
        "sent",
        "recv",
        "dup",
        "lost",
        "gap ms",
        "p99",
        "then",
    ]);
    for one in done {
        let old = match one
            .trial
            .interruption
            .map(|interruption| interruption.rebind.old)
        {
            Some(OldMapping::Kept) => "kept",
            Some(OldMapping::Reset) => "gone, RST",
            Some(OldMapping::Silent) => "gone, silent",
            None => "",
        };
        let mut fields = vec![old.to_owned(), one.trial.contender.to_string()];
        match &one.result {
            Ok(outcome) => {
                fields.extend(
                    [
                        outcome.scheduled,
                        outcome.received,
                        outcome.duplicated,
                        outcome.lost,
                    ]
                    .map(|count| count.to_string()),
                );
                fields.extend([
                    readable(Some(outcome.longest_silence)),
                    readable(outcome.latency.p99),
                ]);
                fields.push(fate(outcome).to_owned());
            }
            Err(_) => fields.push("failed".to_owned()),
        }
        table::add(&mut table, fields);
    }
    writeln!(out, "{table}")?;
    writeln!(
        out,
        "The gap is the longest time between two arrivals. Nobody connects again here: a client that does would go on after its gap, and send again what it may."
    )?;
    for one in done {
        match &one.result {
            Err(fault) => writeln!(out, "FAILED: {}: {fault}", one.trial.contender)?,
            Ok(outcome) => {
                for taint in &outcome.taint {
                    writeln!(out, "TAINTED: {}: {taint}", one.trial.contender)?;
                }
                if let Some(ended) = &outcome.publisher_ended {
                    writeln!(out, "- {}: {ended}", one.trial.contender)?;
                }
            }
        }
    }
    Ok(())
}

/// What became of the publisher's connection.
fn fate(outcome: &super::trial::Outcome) -> &'static str {
    if outcome.publisher_ended.is_some() {
        "dead"
    } else if outcome.lost > 0 {
        "stalled"
    } else {
        "goes on"
    }
}
