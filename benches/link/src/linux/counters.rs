//! What the kernel of a namespace counts as dropped.

use std::{fs, io};

use crate::KernelCounts;

impl KernelCounts {
    /// Reads the counters of the network namespace of the calling thread.
    pub(crate) fn here(device: &str) -> io::Result<Self> {
        let mut counts = Self::default();
        for line in fs::read_to_string("/proc/thread-self/net/dev")?.lines() {
            let Some(numbers) = line
                .trim()
                .strip_prefix(device)
                .and_then(|rest| rest.strip_prefix(':'))
            else {
                continue;
            };
            let numbers: Vec<u64> = numbers.split_whitespace().flat_map(str::parse).collect();
            counts.device_rx_dropped = numbers.get(3).copied().unwrap_or_default();
            counts.device_tx_dropped = numbers.get(11).copied().unwrap_or_default();
        }
        let snmp = fs::read_to_string("/proc/thread-self/net/snmp")?;
        // There is none in a kernel without IPv6.
        let snmp6 = fs::read_to_string("/proc/thread-self/net/snmp6").unwrap_or_default();
        counts.udp_receive_buffer_errors =
            table(&snmp, "Udp", "RcvbufErrors") + row(&snmp6, "Udp6RcvbufErrors");
        counts.udp_checksum_errors =
            table(&snmp, "Udp", "InCsumErrors") + row(&snmp6, "Udp6InCsumErrors");
        counts.tcp_checksum_errors = table(&snmp, "Tcp", "InCsumErrors");
        Ok(counts)
    }
}

/// A counter of a file in which a line of names precedes a line of numbers.
fn table(text: &str, protocol: &str, name: &str) -> u64 {
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix(protocol)?.strip_prefix(": "));
    let (Some(names), Some(numbers)) = (lines.next(), lines.next()) else {
        return 0;
    };
    let mut columns = names.split(' ').zip(numbers.split(' '));
    let found = columns.find(|(column, _)| *column == name);
    found
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or_default()
}

/// A counter of a file with one name and number in each line.
fn row(text: &str, name: &str) -> u64 {
    let mut rows = text.lines().filter_map(|line| line.strip_prefix(name));
    let found = rows.find(|rest| rest.starts_with([' ', '\t']));
    found
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or_default()
}
