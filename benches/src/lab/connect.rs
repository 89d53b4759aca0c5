//! `quince-lab connect`: how long a client needs from its first packet to CONNACK.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::mpsc;
use std::thread;

use hdrhistogram::Histogram;
use quince_link::{End, Link};
use serde::Serialize;
use serde_json::json;

use super::args::ConnectArgs;
use super::broker::Broker;
use super::clients::Dial;
use super::conditions::{Conditions, Even};
use super::contender::Contender;
use super::fault::{Fault, runtime};
use super::machine::Machine;
use super::network::{self, KEY_EXCHANGE};
use super::report::{readable, table};
use super::statistics::{Figure, Figures};
use super::tally;
use super::{Failure, Trust, preflight};

/// All connects of one contender under one set of conditions.
#[derive(Debug, Serialize)]
struct Row {
    contender: Contender,
    conditions: Conditions,
    connected: u64,
    failed: u64,
    /// From the first packet to CONNACK, in milliseconds.
    setup: Figures,
    /// IP packets and bytes over the link in both directions, for each connect.
    packets: f64,
    bytes: f64,
    taint: Vec<String>,
}

/// Measures, prints, and writes what was asked for.
pub(super) fn run(args: &ConnectArgs) -> Result<Trust, Failure> {
    let json = match &args.json {
        Some(file) => Some((file, super::latency::create(file)?)),
        None => None,
    };
    preflight::check(&args.transports)?;
    let mut rows = Vec::new();
    for &loss in &args.loss {
        for contender in &args.transports {
            let conditions = Conditions::Even(Even {
                rtt: args.rtt,
                loss,
                jitter: 0.0,
            });
            rows.push(cell(args, contender, conditions)?);
        }
    }
    print(&rows)?;
    if let Some((file, mut out)) = json {
        write(&mut out, args, &rows).map_err(|source| super::latency::unwritable(file, source))?;
    }
    let trusted = rows.iter().all(|row| row.taint.is_empty());
    Ok(if trusted { Trust::Yes } else { Trust::No })
}

fn write(out: &mut BufWriter<File>, args: &ConnectArgs, rows: &[Row]) -> std::io::Result<()> {
    let run = json!({
        "machine": Machine::this(),
        "key_exchange": format!("{KEY_EXCHANGE:?}"),
        "connections": args.connections,
        "parallel": args.parallel,
        "seed": args.seed,
    });
    writeln!(out, "{}", json!({ "connect": run }))?;
    for row in rows {
        writeln!(out, "{}", json!({ "cell": row }))?;
    }
    out.flush()
}

/// The connects of a cell, shared out over links with seeds of their own.
fn cell(args: &ConnectArgs, contender: &Contender, conditions: Conditions) -> Result<Row, Fault> {
    let links = u32::from(args.parallel).min(args.connections);
    let (tell, results) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..links {
            let share = args.connections / links + u32::from(number < args.connections % links);
            let seed = args.seed.wrapping_add(number.into());
            let (tell, conditions) = (tell.clone(), &conditions);
            scope.spawn(move || {
                // The receiver outlives this scope.
                let _ = tell.send(one_link(contender, conditions, share, seed));
            });
        }
    });
    drop(tell);
    let mut row = Row {
        contender: contender.clone(),
        conditions,
        connected: 0,
        failed: 0,
        setup: Figures::of(&tally::histogram()),
        packets: 0.0,
        bytes: 0.0,
        taint: Vec::new(),
    };
    let mut all = tally::histogram();
    let (mut packets, mut bytes) = (0, 0);
    for link in results {
        let link = link?;
        all.add(&link.setup)
            .map_err(|error| Fault::Harness(error.to_string()))?;
        row.failed += link.failed;
        row.taint.extend(link.taint);
        packets += link.packets;
        bytes += link.bytes;
    }
    row.connected = all.len();
    row.setup = Figures::of(&all);
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let each = |sum: u64| sum as f64 / f64::from(args.connections);
    row.packets = each(packets);
    row.bytes = each(bytes);
    Ok(row)
}

/// What came of one link.
struct OneLink {
    setup: Histogram<u64>,
    failed: u64,
    packets: u64,
    bytes: u64,
    taint: Option<String>,
}

fn one_link(
    contender: &Contender,
    conditions: &Conditions,
    connections: u32,
    seed: u64,
) -> Result<OneLink, Fault> {
    let config = network::link(conditions, seed, None);
    let link = Link::open(config).map_err(|error| Fault::Refused(error.to_string()))?;
    let broker = Broker::start(link.side(End::B), contender)?;
    let dial = Dial {
        endpoint: broker.compared.clone(),
        contender: contender.clone(),
        client_id: "connect",
    };
    let client = link.side(End::A).spawn("client", move || {
        Ok::<_, std::io::Error>(runtime()?.block_on(connects(&dial, connections)))
    })?;
    let (setup, failed) = client
        .join()
        .map_err(|_| Fault::Harness("the client panicked".to_owned()))??;
    let statistics = link.statistics();
    let taint = link.taint();
    broker.stop()?;
    Ok(OneLink {
        setup,
        failed,
        packets: statistics.a_to_b.packets + statistics.b_to_a.packets,
        bytes: statistics.a_to_b.bytes + statistics.b_to_a.bytes,
        taint,
    })
}

/// One after the other, each by a dialler of its own. They end abruptly: farewells are not measured.
async fn connects(dial: &Dial, connections: u32) -> (Histogram<u64>, u64) {
    let mut setup = tally::histogram();
    let mut failed = 0;
    for _ in 0..connections {
        match dial.connect().await {
            Ok((_client, took)) => {
                let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                setup.saturating_record(took.max(1));
            }
            Err(_) => failed += 1,
        }
    }
    (setup, failed)
}

fn print(rows: &[Row]) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let mut table = table::plain([
        "link",
        "transport",
        "p50",
        "p90",
        "p99",
        "max",
        "connected",
        "failed",
        "packets",
        "bytes",
    ]);
    for row in rows {
        let mut fields = vec![row.conditions.to_string(), row.contender.to_string()];
        fields.extend(
            Figure::ALL
                .iter()
                .map(|figure| readable(row.setup.figure(*figure))),
        );
        fields.extend([
            row.connected.to_string(),
            row.failed.to_string(),
            format!("{:.1}", row.packets),
            format!("{:.0}", row.bytes),
        ]);
        table::add(&mut table, fields);
    }
    writeln!(out, "{table}")?;
    writeln!(
        out,
        "Time in ms from the first packet to CONNACK; nothing is resumed, key exchange pinned to {KEY_EXCHANGE:?}. Packets and bytes over the link, both directions, for each connect, its end included."
    )?;
    for row in rows {
        for taint in &row.taint {
            writeln!(
                out,
                "TAINTED: {} at {}: {taint}",
                row.contender, row.conditions
            )?;
        }
    }
    Ok(())
}
