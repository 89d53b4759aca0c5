//! `quince-lab doctor`: tries everything that a run needs, and says what to do where it fails.

use std::io::Write as _;

use quince_link::{Config, Device, End, Family, Link, Side, Unavailable};

use super::fault::Fault;
use super::machine::Machine;
use super::preflight::{at, congestion};
use super::sockets::TcpSockets;
use super::{Failure, Trust};

/// What was tried, and what came of it.
struct Finding {
    what: &'static str,
    /// What is there, or why not and the way out.
    result: Result<String, Unavailable>,
    /// What the quick run cannot do without.
    needed: bool,
}

/// Prints the findings.
///
/// # Errors
/// When the quick run is not possible here.
pub(super) fn run(entered: Result<(), Unavailable>) -> Result<Trust, Failure> {
    let mut out = anstream::stdout().lock();
    let machine = Machine::this();
    let average = machine.load_average.unwrap_or_default();
    writeln!(
        out,
        "{}, {} processors, load average {average}",
        machine.kernel, machine.processors
    )?;
    #[expect(clippy::cast_precision_loss, reason = "few processors")]
    if average > machine.processors as f64 {
        writeln!(
            out,
            "note  the machine is busy: figures will be noisy and trials may be tainted; stop what runs beside the lab"
        )?;
    }
    let mut missing = Vec::new();
    for finding in findings(entered) {
        let Finding {
            what,
            result,
            needed,
        } = finding;
        match (result, needed) {
            (Ok(found), _) => writeln!(out, "yes   {what}: {found}")?,
            (Err(error), needed) => {
                let mark = if needed { "NO    " } else { "no    " };
                writeln!(out, "{mark}{what}: {}", error.why)?;
                writeln!(out, "      way out: {}", error.way_out)?;
                if needed {
                    missing.push(what);
                }
            }
        }
    }
    if missing.is_empty() {
        writeln!(out, "`quince-lab run --quick` works here.")?;
        return Ok(Trust::Yes);
    }
    let missing = missing.join(", ");
    Err(Fault::Refused(format!(
        "`run --quick` does not work here, for want of: {missing}"
    ))
    .into())
}

fn findings(entered: Result<(), Unavailable>) -> Vec<Finding> {
    let user = if rustix::process::geteuid().is_root() {
        "this process may make network namespaces, as root or in a user namespace"
    } else {
        "this process is in no user namespace"
    };
    let may = entered.is_ok();
    let mut findings = vec![Finding {
        what: "namespaces",
        result: entered.map(|()| user.to_owned()),
        needed: true,
    }];
    if !may {
        // Everything else would fail for the same reason.
        return findings;
    }
    let open = |device, family| {
        Link::open(Config {
            device,
            family,
            ..Config::default()
        })
    };
    let link = open(Device::Any, Family::V4);
    let opened = |link: Result<Link, Unavailable>| link.map(|_| "a link opens".to_owned());
    findings.push(Finding {
        what: "link over TUN",
        result: opened(open(Device::Tun, Family::V4)),
        needed: false,
    });
    findings.push(Finding {
        what: "link over veth and AF_PACKET",
        result: opened(open(Device::Veth, Family::V4)),
        needed: false,
    });
    findings.push(Finding {
        what: "IPv6",
        result: opened(open(Device::Any, Family::V6)),
        needed: false,
    });
    match link {
        Err(error) => findings.push(Finding {
            what: "a link of any kind",
            result: Err(error),
            needed: true,
        }),
        Ok(link) => findings.extend(inside(link.side(End::A))),
    }
    findings
}

/// What is tried inside a namespace.
fn inside(side: &Side) -> Vec<Finding> {
    let controls = [
        ("TCP congestion control cubic", "cubic", true),
        ("TCP congestion control bbr", "bbr", true),
        ("TCP congestion control reno", "reno", false),
    ];
    let mut findings: Vec<_> = controls
        .into_iter()
        .map(|(what, name, needed)| Finding {
            what,
            result: congestion(side, name).map(|set| format!("a socket took it, and says {set}")),
            needed,
        })
        .collect();
    let asked = at(side, || TcpSockets::open()?.list());
    findings.push(Finding {
        what: "TCP_INFO of both ends (sock_diag)",
        result: asked
            .map(|_| "the kernel answers".to_owned())
            .map_err(|error| Unavailable {
                why: error.to_string(),
                way_out: "`modprobe inet_diag tcp_diag` as root".to_owned(),
            }),
        needed: true,
    });
    findings
}
