//! The kernel's view of the TCP sockets in a network namespace, asked for over netlink (sock_diag).
//!
//! It shows the sockets of the broker and of the client alike, without touching either: the congestion control that is
//! really in force and the counters of TCP_INFO. A netlink socket sees the namespace of the thread that opened it.

use std::io;
use std::net::SocketAddr;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddress};

/// Larger than any answer to one request that the kernel gives at once.
const ANSWER_BYTES: usize = 64 * 1024;

/// One connected TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TcpSocket {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// The kernel's name of the congestion control in force.
    pub(crate) congestion: String,
    /// Segments sent again since the connection began.
    pub(crate) retransmitted: u32,
    /// Smoothed round trip time, in microseconds.
    pub(crate) rtt: u32,
    /// Smallest round trip time seen, in microseconds.
    pub(crate) min_rtt: u32,
    /// Congestion window, in segments.
    pub(crate) window: u32,
    /// Segments sent that carried data.
    pub(crate) data_segments: u32,
    /// Duplicates that the peer has told of: segments that were sent again in vain.
    pub(crate) needless: u32,
}

/// Asks for the connected TCP sockets of one namespace.
pub(crate) struct TcpSockets {
    socket: Socket,
}

impl TcpSockets {
    /// Opens a window on the calling thread's network namespace.
    ///
    /// # Errors
    /// When the kernel has no `sock_diag`.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&NetlinkAddress::new(0, 0))?;
        Ok(Self { socket })
    }

    /// The connected sockets, IPv4 and IPv6.
    ///
    /// # Errors
    /// When the kernel refuses or answers what cannot be read.
    pub(crate) fn list(&self) -> io::Result<Vec<TcpSocket>> {
        let mut sockets = Vec::new();
        for (family, any) in [
            (AF_INET, SocketId::new_v4()),
            (AF_INET6, SocketId::new_v6()),
        ] {
            self.ask(family, any)?;
            while self.hear(&mut sockets)? {}
        }
        Ok(sockets)
    }

    fn ask(&self, family: u8, socket_id: SocketId) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let request = InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::INFO | ExtensionFlags::CONG,
            states: StateFlags::ESTABLISHED,
            socket_id,
        };
        let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map(drop)
    }

    /// Reads one part of an answer; false when it was the last.
    fn hear(&self, sockets: &mut Vec<TcpSocket>) -> io::Result<bool> {
        let mut bytes = Vec::with_capacity(ANSWER_BYTES);
        self.socket.recv(&mut bytes, 0)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(false),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    sockets.extend(socket(&response.header.socket_id, &response.nlas));
                }
                _ => {}
            }
            // Messages are padded to multiples of four; the last one need not be.
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(true)
    }
}

fn socket(id: &SocketId, attributes: &[Nla]) -> Option<TcpSocket> {
    let mut congestion = String::new();
    let mut info = None;
    for attribute in attributes {
        match attribute {
            Nla::Congestion(name) => congestion.clone_from(name),
            Nla::TcpInfo(found) => info = Some(found),
            _ => {}
        }
    }
    let info = info?;
    Some(TcpSocket {
        local: SocketAddr::new(id.source_address, id.source_port),
        remote: SocketAddr::new(id.destination_address, id.destination_port),
        congestion,
        retransmitted: info.total_retrans,
        rtt: info.rtt,
        min_rtt: info.min_rtt,
        window: info.snd_cwnd,
        data_segments: info.data_segs_out,
        needless: info.dsack_dups,
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn both_ends_of_a_connection_are_found_with_what_was_set_on_them() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        rustix::net::sockopt::set_tcp_congestion(&listener, "reno").expect("every kernel has reno");
        let address = listener.local_addr().expect("an address");
        let mut client = TcpStream::connect(address).expect("connect");
        rustix::net::sockopt::set_tcp_congestion(&client, "reno").expect("every kernel has reno");
        let (mut server, peer) = listener.accept().expect("accept");
        client.write_all(b"hello").expect("write");
        server.read_exact(&mut [0; 5]).expect("read");
        let sockets = TcpSockets::open()
            .expect("sock_diag")
            .list()
            .expect("a list");
        for (local, remote) in [(address, peer), (peer, address)] {
            let found = sockets
                .iter()
                .find(|socket| socket.local == local && socket.remote == remote)
                .unwrap_or_else(|| panic!("{local} -> {remote} is not in {sockets:?}"));
            assert_eq!(found.congestion, "reno", "accepted sockets inherit it");
            assert_eq!(found.retransmitted, 0);
            assert!(found.window > 0);
            assert_eq!(found.data_segments, u32::from(local == peer));
        }
    }
}
