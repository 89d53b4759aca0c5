//! `quince-lab`: QUIC against TLS over TCP on a bad link, which is emulated inside this process.

#[cfg(target_os = "linux")]
#[path = "../lab/mod.rs"]
mod lab;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    lab::main()
}

/// The lab's links are made of Linux network namespaces.
#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    anstream::eprintln!(
        "quince-lab needs Linux: its links are made of network namespaces. Run it in a Linux machine or container."
    );
    std::process::ExitCode::from(3)
}
