//! CONNECT packets with credentials, byte by byte.

use std::net::SocketAddr;

use crate::peer::Peer;

/// What a CONNECT of 5.0 says of its sender.
pub(crate) struct Login<'a> {
    client_id: &'a str,
    user: Option<&'a str>,
    password: Option<&'a str>,
}

impl<'a> Login<'a> {
    pub(crate) fn new(client_id: &'a str) -> Self {
        Self {
            client_id,
            user: None,
            password: None,
        }
    }

    pub(crate) fn user(mut self, user: &'a str) -> Self {
        self.user = Some(user);
        self
    }

    pub(crate) fn password(mut self, password: &'a str) -> Self {
        self.password = Some(password);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        // Clean Start, and which fields follow.
        let flags = 2 | flag(self.user.is_some(), 0x80) | flag(self.password.is_some(), 0x40);
        let mut body = b"\x00\x04MQTT\x05".to_vec();
        body.extend([flags, 0, 0, 0]);
        for text in [Some(self.client_id), self.user, self.password]
            .into_iter()
            .flatten()
        {
            body.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
            body.extend(text.as_bytes());
        }
        let mut packet = vec![0x10];
        let mut length = body.len();
        while length >= 0x80 {
            packet.push(u8::try_from(length % 0x80).expect("small") | 0x80);
            length /= 0x80;
        }
        packet.push(u8::try_from(length).expect("small"));
        packet.extend(body);
        packet
    }
}

/// The Reason Code of the CONNACK that a login gets over a connection.
pub(crate) async fn log_in(peer: &mut Peer, login: &Login<'_>) -> u8 {
    peer.write(&login.bytes()).await;
    let header = peer.read(2).await;
    assert_eq!(header[0], 0x20, "CONNACK");
    peer.read(usize::from(header[1])).await[1]
}

/// The same over a new TCP connection.
pub(crate) async fn connack(address: SocketAddr, login: &Login<'_>) -> u8 {
    log_in(&mut Peer::tcp(address).await, login).await
}
