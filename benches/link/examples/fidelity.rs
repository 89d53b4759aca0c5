//! Prints how true the emulated link is on this machine: `cargo run --release -p quince-link --example fidelity`.

use std::{error::Error, io::Write as _, time::Duration};

use quince_link::{Config, Device, Enter, Impairment, Link};

fn main() -> Result<(), Box<dyn Error>> {
    quince_link::enter_user_namespace(Enter::UnlessRoot)?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "one way          loss    sent  received  lost   early  error p50  p99        p99.9      most       tainted"
    )?;
    let cells = [
        (Device::Tun, 0, 0.0),
        (Device::Tun, 25, 0.0),
        (Device::Tun, 25, 0.01),
        (Device::Tun, 25, 0.05),
        (Device::Tun, 150, 0.0),
        (Device::Veth, 25, 0.0),
    ];
    for (device, delay, loss) in cells {
        let impairment = Impairment::delayed(Duration::from_millis(delay));
        let opened = Link::open(Config {
            device,
            a_to_b: impairment.clone().losing(loss),
            b_to_a: impairment,
            ..Config::default()
        });
        let link = match opened {
            Ok(link) => link,
            Err(reason) => {
                writeln!(out, "{device:?}: {reason}")?;
                continue;
            }
        };
        let found = link.measure_fidelity(10_000, Duration::from_millis(1))?;
        writeln!(
            out,
            "{:<5} {delay:>4} ms   {loss:>6}  {:>6}  {:>8}  {:>4}  {:>5}  {:<9?}  {:<9?}  {:<9?}  {:<9?}  {}",
            format!("{device:?}"),
            found.sent,
            found.received,
            found.lost,
            found.early,
            found.error.percentile(0.5),
            found.error.percentile(0.99),
            found.error.percentile(0.999),
            found.error.most(),
            link.taint().unwrap_or_else(|| "no".into()),
        )?;
    }
    Ok(())
}
