//! What the types of the file cannot say: ranges, settings that need each other, listeners that let nobody in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quince_core::{Config, Redirect, Validity};

use super::file::{
    FileFormat, JwtSection, LimitsSection, ListenerSection, QuicSection, ServerSection, TlsSection,
};
use super::source::{Source, Step};
use super::{Configuration, Flags};
use crate::access::{AccessSettings, Admission, TokenSettings};
use crate::listener::{ListenerUrl, ListenerUrlError};
use crate::problem::Problem;
use crate::settings::{ListenerSettings, Settings, TcpSettings};
use crate::tls::{CertificateFiles, ClientCertificates, TlsSettings};

use Step::{Index, Key};

/// The largest packet that MQTT's lengths can say, header included [section 2.1.4].
const LARGEST_PACKET: u32 = 268_435_460;

pub(super) fn configuration(
    source: &Source,
    format: FileFormat,
    flags: &Flags,
) -> Result<Configuration, Problem> {
    check_limits(source, &format.limits)?;
    check_quic(source, &format.quic)?;
    let access = access(source, &format, flags)?;
    let tls = tls(source, &format.tls, flags)?;
    let core = Config {
        figures_interval: (format.server.figures_interval_seconds > 0)
            .then(|| Duration::from_secs(format.server.figures_interval_seconds)),
        redirect: redirect(source, &format.server)?,
        ..format.limits.settings()
    };
    let listeners = if flags.listen.is_empty() {
        listeners_of_file(source, &format.listeners, &tls)?
    } else {
        flags
            .listen
            .iter()
            .map(|&url| (url, ListenerSection::at(url)))
            .collect()
    };
    let listeners = listeners
        .iter()
        .enumerate()
        .map(|(index, (url, section))| {
            let admission = admission(*url, section, &access, flags);
            if admission.anonymous || admission.certificate_name.is_some() || access.has_logins() {
                return Ok(ListenerSettings {
                    url: *url,
                    admission,
                    connections: section.connections,
                });
            }
            let message = format!("nobody could log in at {url}: there are no users");
            let help = "name a password file (access.password_file, --password-file), or let anybody in \
                        (anonymous = true, --allow-anonymous) if that is meant";
            Err(if flags.listen.is_empty() {
                source.problem(&[Key("listeners"), Index(index)], message, help)
            } else {
                Problem::of(format!("--listen {url}"), message, help)
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Configuration {
        listeners,
        settings: Settings {
            // The command line alone says where.
            data: None,
            core,
            connections: format.limits.connections,
            tls,
            quic: format.quic.settings(),
            websocket: format.websocket.settings(),
            tcp: TcpSettings {
                congestion: format.tcp.congestion,
            },
            key_exchange: format.tls.key_exchange.map(Into::into),
        },
        access,
    })
}

impl ListenerSection {
    fn at(url: ListenerUrl) -> Self {
        Self {
            url: url.to_string(),
            anonymous: None,
            certificate_name: None,
            connections: None,
        }
    }
}

fn listeners_of_file(
    source: &Source,
    sections: &[ListenerSection],
    tls: &TlsSettings,
) -> Result<Vec<(ListenerUrl, ListenerSection)>, Problem> {
    if sections.is_empty() {
        return Err(source.problem(
            &[Key("listeners")],
            "the broker would listen nowhere",
            "add a listener: [[listeners]] and below it url = \"tcp://127.0.0.1:1883\"",
        ));
    }
    let mut listeners: Vec<(ListenerUrl, ListenerSection)> = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let steps = |key| [Key("listeners"), Index(index), Key(key)];
        let url: ListenerUrl = section.url.parse().map_err(|error: ListenerUrlError| {
            let text = error.to_string();
            let (message, help) = text
                .split_once(": ")
                .unwrap_or((&text, "write a listener's URL"));
            source.problem(&steps("url"), message, help)
        })?;
        if url.address().port() != 0 && listeners.iter().any(|(other, _)| *other == url) {
            return Err(source.problem(
                &steps("url"),
                format!("two listeners are at {url}"),
                "delete one of them, or give it another port",
            ));
        }
        if section.certificate_name.is_some() && !url.scheme().is_encrypted() {
            return Err(source.problem(
                &steps("certificate_name"),
                format!("no client shows a certificate over {}", url.scheme()),
                "delete this line, or listen with tls://, wss:// or quic://",
            ));
        }
        if section.connections == Some(0) {
            return Err(source.problem(
                &steps("connections"),
                "nobody could ever connect here",
                "write a number from 1 upwards, or delete the listener",
            ));
        }
        if section.certificate_name.is_some() && tls.clients.is_none() {
            return Err(source.problem(
                &steps("certificate_name"),
                "clients are not asked for a certificate",
                "set tls.client_ca_file to the authorities that sign clients' certificates",
            ));
        }
        listeners.push((url, section.clone()));
    }
    Ok(listeners)
}

/// Clients without a name come in where that is said, and otherwise on loopback as long as there are no users.
fn admission(
    url: ListenerUrl,
    section: &ListenerSection,
    access: &AccessSettings,
    flags: &Flags,
) -> Admission {
    let harmless = url.address().ip().is_loopback() && !access.has_logins();
    Admission {
        anonymous: section
            .anonymous
            .unwrap_or(harmless || flags.allow_anonymous),
        certificate_name: section.certificate_name,
    }
}

fn access(source: &Source, format: &FileFormat, flags: &Flags) -> Result<AccessSettings, Problem> {
    let section = &format.access;
    let path = |flag: &Option<PathBuf>, key: &str, set: &Option<PathBuf>| {
        flag.clone()
            .or_else(|| set.as_ref().map(|path| source.path("access", key, path)))
    };
    let tokens = section
        .jwt
        .as_ref()
        .map(|jwt| tokens(source, jwt))
        .transpose()?;
    if section.concurrent_logins == 0 {
        return Err(source.problem(
            &[Key("access"), Key("concurrent_logins")],
            "nobody could ever log in",
            "write a number from 1 upwards",
        ));
    }
    Ok(AccessSettings {
        password_file: path(
            &flags.password_file,
            "password_file",
            &section.password_file,
        ),
        acl_file: path(&flags.acl_file, "acl_file", &section.acl_file),
        tokens,
        concurrent_logins: section.concurrent_logins,
        waiting_logins: section.waiting_logins,
    })
}

fn redirect(source: &Source, server: &ServerSection) -> Result<Option<Redirect>, Problem> {
    let Some(reference) = &server.redirect else {
        return match server.redirect_for_good {
            None => Ok(None),
            Some(_) => Err(source.problem(
                &[Key("server"), Key("redirect_for_good")],
                "redirect_for_good is of no use without redirect",
                "set redirect too, or delete this line",
            )),
        };
    };
    if reference.is_empty() || reference.len() > usize::from(u16::MAX) {
        return Err(source.problem(
            &[Key("server"), Key("redirect")],
            "no client could be sent there",
            "write where clients should go, as other.example:1883",
        ));
    }
    let validity = match server.redirect_for_good {
        Some(true) => Validity::ForGood,
        Some(false) | None => Validity::ForNow,
    };
    Ok(Some(Redirect {
        server_reference: Arc::from(reference.as_str()),
        validity,
    }))
}

/// Files that go together, from flags or from the file.
fn tls(source: &Source, section: &TlsSection, flags: &Flags) -> Result<TlsSettings, Problem> {
    let path = |flag: &Option<PathBuf>, key: &str, set: &Option<PathBuf>| {
        flag.clone()
            .or_else(|| set.as_ref().map(|path| source.path("tls", key, path)))
    };
    let alone = |key: &str, other: &str| {
        source.problem(
            &[Key("tls"), Key(key)],
            format!("{key} is of no use without {other}"),
            format!("set {other} too"),
        )
    };
    let chain = path(
        &flags.certificate,
        "certificate_file",
        &section.certificate_file,
    );
    let certificate = match (chain, path(&flags.key, "key_file", &section.key_file)) {
        (Some(chain), Some(key)) => Some(CertificateFiles { chain, key }),
        (None, None) => None,
        (Some(_), None) => return Err(alone("certificate_file", "key_file")),
        (None, Some(_)) => return Err(alone("key_file", "certificate_file")),
    };
    let authorities = path(
        &flags.client_authorities,
        "client_ca_file",
        &section.client_ca_file,
    );
    let Some(authorities) = authorities else {
        if section.client_revocation_files.is_some() {
            return Err(alone("client_revocation_files", "client_ca_file"));
        }
        if section.client_certificates.is_some() {
            return Err(alone("client_certificates", "client_ca_file"));
        }
        return Ok(TlsSettings {
            certificate,
            clients: None,
        });
    };
    let revocation_lists = if flags.client_revocation_lists.is_empty() {
        let lists = section.client_revocation_files.iter().flatten();
        lists
            .map(|path| source.path("tls", "client_revocation_files", path))
            .collect()
    } else {
        flags.client_revocation_lists.clone()
    };
    Ok(TlsSettings {
        certificate,
        clients: Some(ClientCertificates {
            authorities,
            revocation_lists,
            demand: section
                .client_certificates
                .map(Into::into)
                .unwrap_or_default(),
        }),
    })
}

fn tokens(source: &Source, jwt: &JwtSection) -> Result<TokenSettings, Problem> {
    for (key, value) in [
        ("audience", Some(&jwt.audience)),
        ("issuer", jwt.issuer.as_ref()),
        ("name_claim", Some(&jwt.name_claim)),
    ] {
        if value.is_some_and(String::is_empty) {
            return Err(source.problem(
                &[Key("access"), Key("jwt"), Key(key)],
                format!("{key} is empty"),
                "write what the tokens really carry",
            ));
        }
    }
    Ok(TokenSettings {
        algorithm: jwt.algorithm,
        key_file: source.path("access.jwt", "key_file", &jwt.key_file),
        audience: jwt.audience.clone(),
        issuer: jwt.issuer.clone(),
        name_claim: jwt.name_claim.clone(),
        leeway: Duration::from_secs(jwt.leeway_seconds),
    })
}

/// Without a stream there is no CONNECT, and RFC 9002 has lower bounds for what counts as lost.
fn check_quic(source: &Source, quic: &QuicSection) -> Result<(), Problem> {
    let problem = |key: &str, message: String, help: &str| {
        Err(source.problem(&[Key("quic"), Key(key)], message, help))
    };
    if quic.bidirectional_streams == 0 {
        return problem(
            "bidirectional_streams",
            "with bidirectional_streams = 0 nothing would work".to_owned(),
            "write a number from 1 upwards; with 1 there is a control stream and no other",
        );
    }
    if quic.reordering_packets < 3 {
        let packets = quic.reordering_packets;
        return problem(
            "reordering_packets",
            format!("packets would count as lost behind {packets} later ones"),
            "write 3 or more",
        );
    }
    if quic.reordering_percent <= 100 {
        let percent = quic.reordering_percent;
        return problem(
            "reordering_percent",
            format!("packets would count as lost within {percent} % of a round trip"),
            "write more than 100",
        );
    }
    Ok(())
}

/// Zero where zero would stop everything, and sizes that cannot work together.
fn check_limits(source: &Source, limits: &LimitsSection) -> Result<(), Problem> {
    let problem = |key: &str, message: String, help: &str| {
        Err(source.problem(&[Key("limits"), Key(key)], message, help))
    };
    let positive = [
        (
            "connect_timeout_seconds",
            limits.connect_timeout_seconds == 0,
        ),
        (
            "authentication_timeout_seconds",
            limits.authentication_timeout_seconds == 0,
        ),
        (
            "yield_timeout_milliseconds",
            limits.yield_timeout_milliseconds == 0,
        ),
        ("flush_timeout_seconds", limits.flush_timeout_seconds == 0),
        ("pause_limit_seconds", limits.pause_limit_seconds == 0),
        ("topic_levels", limits.topic_levels == 0),
        ("client_id_bytes", limits.client_id_bytes == 0),
        // [MQTT5-3.2.2.3.3]: zero is a Protocol Error.
        ("receive_maximum", limits.receive_maximum == 0),
        ("connections", limits.connections == 0),
        ("queue_messages", limits.queue_messages == 0),
        ("queue_bytes", limits.queue_bytes == 0),
        ("buffered_bytes", limits.buffered_bytes == 0),
        ("pending_records", limits.pending_records == 0),
        ("outbox_bytes", limits.outbox_bytes == 0),
    ];
    if let Some((key, _)) = positive.iter().find(|(_, is_zero)| *is_zero) {
        return problem(
            key,
            format!("with {key} = 0 nothing would work"),
            "write a number from 1 upwards",
        );
    }
    if limits.maximum_qos > 2 {
        let message = format!("there is no QoS {}", limits.maximum_qos);
        return problem("maximum_qos", message, "write 0, 1 or 2");
    }
    for (key, bytes) in [
        (
            "packet_before_connack_bytes",
            limits.packet_before_connack_bytes,
        ),
        (
            "packet_after_connack_bytes",
            limits.packet_after_connack_bytes,
        ),
    ] {
        if !(128..=LARGEST_PACKET).contains(&bytes) {
            return problem(
                key,
                format!("no packet can be limited to {bytes} bytes"),
                "write a number from 128 to 268435460",
            );
        }
    }
    if limits.packet_before_connack_bytes > limits.packet_after_connack_bytes {
        return problem(
            "packet_before_connack_bytes",
            "strangers could send larger packets than clients that are let in".to_owned(),
            "write at most the value of packet_after_connack_bytes",
        );
    }
    Ok(())
}
