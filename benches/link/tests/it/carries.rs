//! What is sent arrives unharmed, by every kind of device and both families.

use std::{collections::BTreeSet, fs, thread, time::Duration};

use quince_link::{Config, Device, Direction, Family, Impairment, Link, Statistics, TcpInfo};

use crate::{
    test,
    traffic::{connection, datagram, flood, missing, number, transfer},
};

pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
    vec![
        test!(everything_arrives_by_tun_and_v4),
        test!(everything_arrives_by_tun_and_v6),
        test!(everything_arrives_by_veth_and_v4),
        test!(everything_arrives_by_veth_and_v6),
        test!(retransmissions_agree_with_losses),
        test!(captures_hold_what_was_carried),
        test!(dropping_a_link_ends_its_threads),
        test!(a_broken_configuration_is_refused),
    ]
}

/// The method's own promises.
fn assert_sound(statistics: &Statistics) {
    assert_eq!(statistics.unconfigured_losses(), 0, "{statistics:#?}");
    for counts in [&statistics.a_to_b, &statistics.b_to_a] {
        assert_eq!(counts.bad_checksums, 0, "{statistics:#?}");
        assert!(counts.largest <= 1500, "{statistics:#?}");
    }
    for kernel in [statistics.kernel_a, statistics.kernel_b] {
        assert_eq!(kernel.udp_checksum_errors, 0, "{statistics:#?}");
        assert_eq!(kernel.tcp_checksum_errors, 0, "{statistics:#?}");
    }
}

fn everything_arrives_by_tun_and_v4() {
    everything_arrives(Device::Tun, Family::V4);
}

fn everything_arrives_by_tun_and_v6() {
    everything_arrives(Device::Tun, Family::V6);
}

fn everything_arrives_by_veth_and_v4() {
    everything_arrives(Device::Veth, Family::V4);
}

fn everything_arrives_by_veth_and_v6() {
    everything_arrives(Device::Veth, Family::V6);
}

fn everything_arrives(device: Device, family: Family) {
    let delay = Duration::from_millis(2);
    let link = Link::open(Config {
        device,
        family,
        a_to_b: Impairment::delayed(delay),
        b_to_a: Impairment::delayed(delay),
        ..Config::default()
    })
    .unwrap();
    let mut got = flood(&link, 5000, 1200);
    if device == Device::Veth {
        // On its way to and from a veth device the kernel has a queue for each processor: a thread that is moved between
        // them overtakes itself.
        got.sort_by_key(|datagram| number(datagram));
    }
    assert_eq!(
        missing(5000, &got),
        BTreeSet::new(),
        "{:#?}",
        link.statistics()
    );
    // Without jitter in the order in which they were sent.
    assert!(
        got.iter()
            .zip(0..)
            .all(|(got, number)| *got == datagram(number, 1200))
    );
    assert_eq!(got.len(), 5000);
    let counts = link.counts(Direction::AToB);
    assert_eq!(counts.packets, 5000, "nothing else was sent");
    let counts = link.counts(Direction::BToA);
    assert_eq!(counts.packets, 0, "nothing was answered");

    let lossy = Impairment::delayed(delay).losing(0.02);
    for direction in [Direction::AToB, Direction::BToA] {
        link.change(quince_link::Change::Impair(direction, lossy.clone()))
            .unwrap();
    }
    let (mut client, server) = connection(&link);
    transfer(&mut client, server, 3_000_000);
    let statistics = link.statistics();
    assert!(statistics.a_to_b.lost > 0, "{statistics:#?}");
    // Full segments, and never several of them in one.
    assert_eq!(statistics.a_to_b.largest, 1500);
    assert_sound(&statistics);
}

/// A kernel sends again what the link lost, and nothing else.
fn retransmissions_agree_with_losses() {
    let delay = Duration::from_millis(5);
    let link = Link::open(Config {
        seed: 3,
        a_to_b: Impairment::delayed(delay).losing(0.01),
        b_to_a: Impairment::delayed(delay),
        ..Config::default()
    })
    .unwrap();
    let (mut client, server) = connection(&link);
    rustix::net::sockopt::set_tcp_congestion(&client, "cubic").unwrap();
    transfer(&mut client, server, 15_000_000);
    let told = TcpInfo::of(&client).unwrap();
    let statistics = link.statistics();
    let lost = statistics.a_to_b.lost;
    assert!(
        lost >= 60,
        "{lost} of {} packets were lost",
        statistics.a_to_b.packets
    );
    // Sent again in vain, after a probe or because of a late acknowledgement: the peer told that it had them.
    let needed = u64::from(told.total_retransmits - told.duplicates_told);
    assert!(
        needed.abs_diff(lost) <= lost / 20,
        "the link lost {lost}, the kernel sent {needed} again with need: {told:?}"
    );
    assert_sound(&statistics);
}

fn captures_hold_what_was_carried() {
    let folder = std::env::temp_dir().join(format!("quince-link-{}", std::process::id()));
    let link = Link::open(Config {
        capture: Some(folder.clone()),
        a_to_b: Impairment::default().losing(0.1),
        ..Config::default()
    })
    .unwrap();
    let got = flood(&link, 1000, 100);
    let lost = missing(1000, &got);
    assert_eq!(link.statistics().a_to_b.capture_errors, 0);
    drop(link);
    let [a, b] = ["a.pcap", "b.pcap"].map(|name| packets(&fs::read(folder.join(name)).unwrap()));
    fs::remove_dir_all(folder).unwrap();
    // 20 bytes of IPv4, 8 of UDP.
    let numbers = |packets: &[Vec<u8>]| -> Vec<u64> {
        let number = |packet: &Vec<u8>| u64::from_le_bytes(packet[28..36].try_into().unwrap());
        packets.iter().map(number).collect()
    };
    assert_eq!(numbers(&a), (0..1000).collect::<Vec<_>>());
    let arrived: Vec<u64> = (0..1000).filter(|number| !lost.contains(number)).collect();
    assert_eq!(numbers(&b), arrived);
}

/// The packets of a capture, read by the format's own description.
fn packets(file: &[u8]) -> Vec<Vec<u8>> {
    let long = |at: usize| u32::from_ne_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!(long(0), 0xa1b2_3c4d, "nanoseconds");
    assert_eq!(long(20), 101, "raw IP");
    let (mut at, mut packets) = (24, Vec::new());
    let mut latest = (0, 0);
    while at < file.len() {
        let time = (long(at), long(at + 4));
        assert!(time >= latest, "time went back");
        latest = time;
        let length = long(at + 8) as usize;
        assert_eq!(length, long(at + 12) as usize);
        packets.push(file[at + 16..at + 16 + length].to_vec());
        at += 16 + length;
    }
    packets
}

fn dropping_a_link_ends_its_threads() {
    let own = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.flat_map(|task| fs::read_to_string(task.path().join("comm")));
        names.filter(|name| name.starts_with("link unused")).count()
    };
    // Its threads bear its name, so that other tests' links are not counted.
    assert_eq!(own(), 0);
    for _ in 0..10 {
        let link = Link::open(Config {
            name: "unused".into(),
            a_to_b: Impairment::delayed(Duration::from_secs(3600)),
            ..Config::default()
        })
        .unwrap();
        let (sender, receiver) = (
            crate::traffic::udp(link.side(quince_link::End::A)),
            crate::traffic::udp(link.side(quince_link::End::B)),
        );
        sender
            .send_to(b"late", receiver.local_addr().unwrap())
            .unwrap();
        crate::traffic::wait_until(&link, Direction::AToB, |counts| counts.in_flight == 1);
        // A thread takes its name itself, some time after it was started.
        let named = (0..60_000).any(|_| {
            thread::sleep(Duration::from_millis(1));
            own() == 2
        });
        assert!(named, "{} of 2 threads", own());
    }
    assert_eq!(own(), 0);
}

fn a_broken_configuration_is_refused() {
    let refused = Link::open(Config {
        b_to_a: Impairment::default().losing(1.5),
        ..Config::default()
    });
    let why = refused.unwrap_err().why;
    assert_eq!(why, "loss is 1.5, but must be from 0 to 1");
}
