//! `compare ALLOCATIONS [ROUNDS]`: times every contender at every packet and prints Markdown. The file is what
//! `allocations` printed; the script `run` does both.

use std::collections::HashMap;
use std::error::Error;
use std::io::{Write, stdout};

use quince_compare::contender::{Contender, decoders, encoders};
use quince_compare::measure::interleaved;
use quince_compare::packets::{Sample, samples};
use quince_compare::table::{Row, Section, details, overview};

/// Allocations per packet by task, packet and contender.
type Allocations = HashMap<[String; 3], f64>;

fn read_allocations(text: &str) -> Result<Allocations, Box<dyn Error>> {
    text.lines()
        .map(|line| {
            let [task, packet, name, count] = line.split('\t').collect::<Vec<_>>()[..] else {
                return Err(format!("not four columns: {line}").into());
            };
            Ok(([task, packet, name].map(str::to_owned), count.parse()?))
        })
        .collect()
}

fn section(
    task: &str,
    sample: &Sample,
    contenders: &mut [Contender],
    allocations: &Allocations,
    rounds: usize,
) -> Section {
    let figures = interleaved(contenders, rounds);
    let rows = contenders
        .iter()
        .zip(figures)
        .map(|(contender, figures)| Row {
            name: contender.name,
            figures,
            allocations: allocations[&[task, sample.name, contender.name].map(str::to_owned)],
        });
    Section {
        packet: sample.name,
        length: sample.bytes.len(),
        rows: rows.collect(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .ok_or("usage: compare ALLOCATIONS [ROUNDS]")?;
    let rounds = arguments.next().map_or(Ok(2000), |rounds| rounds.parse())?;
    let allocations = read_allocations(&std::fs::read_to_string(file)?)?;
    let samples = samples();
    let contenders: [(_, fn(&Sample) -> Vec<Contender>); 2] =
        [("decode", decoders), ("encode", encoders)];
    let mut out = stdout().lock();
    for (task, contenders) in contenders {
        let sections: Vec<_> = samples
            .iter()
            .map(|sample| section(task, sample, &mut contenders(sample), &allocations, rounds))
            .collect();
        writeln!(
            out,
            "### {task}: median nanoseconds per packet (times the floor, allocations)\n"
        )?;
        writeln!(out, "{}", overview(&sections))?;
        writeln!(out, "### {task}: every figure, in nanoseconds per packet\n")?;
        writeln!(out, "{}", details(&sections))?;
    }
    Ok(())
}
