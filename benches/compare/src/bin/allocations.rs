//! Counts the allocations of every contender, as lines that `compare` reads. A program of its own, so that those who
//! allocate do not pay for the counting while they are timed.

use std::io::{Write, stdout};

use allocation_counter::measure;
use quince_compare::contender::{BATCH, Contender, decoders, encoders};
use quince_compare::packets::samples;

/// Calls of the allocator per packet, in a batch after the first.
fn allocations(contender: &mut Contender) -> f64 {
    contender.work.prepare();
    contender.work.run();
    contender.work.prepare();
    let counted = measure(|| contender.work.run());
    counted.count_total as f64 / BATCH as f64
}

fn main() -> std::io::Result<()> {
    let mut out = stdout().lock();
    for sample in samples() {
        for (task, contenders) in [("decode", decoders(&sample)), ("encode", encoders(&sample))] {
            for mut contender in contenders {
                let count = allocations(&mut contender);
                writeln!(out, "{task}\t{}\t{}\t{count}", sample.name, contender.name)?;
            }
        }
    }
    Ok(())
}
