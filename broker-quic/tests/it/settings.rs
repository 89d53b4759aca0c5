//! Every limit, pinned: a changed default is a visible difference. And what goes over what.

use std::fs;
use std::path::{Path, PathBuf};

use quince_broker::{Configuration, Flags, Settings};

#[test]
fn defaults_are_those_of_the_design() {
    insta::assert_debug_snapshot!(Settings::default());
}

/// A configuration file, and what is read from it with these variables and flags.
fn load(text: &str, environment: &[(&str, &str)], flags: &Flags) -> Result<Configuration, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    fs::write(&path, text).expect("written");
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut loaded =
        Configuration::load(Some(&path), environment, flags).map_err(|it| it.to_string())?;
    // Paths of the file are seen from its folder: shown here as they stand in it.
    let relative = |path: &mut PathBuf| {
        if let Ok(name) = path.strip_prefix(folder.path()) {
            *path = Path::new("beside").join(name);
        }
    };
    loaded.access.password_file.iter_mut().for_each(relative);
    loaded.access.acl_file.iter_mut().for_each(relative);
    if let Some(certificate) = &mut loaded.settings.tls.certificate {
        relative(&mut certificate.chain);
        relative(&mut certificate.key);
    }
    if let Some(clients) = &mut loaded.settings.tls.clients {
        relative(&mut clients.authorities);
        clients.revocation_lists.iter_mut().for_each(relative);
    }
    Ok(loaded)
}

/// Every path, in one order.
fn paths(configuration: &Configuration) -> Vec<PathBuf> {
    let access = &configuration.access;
    let tls = &configuration.settings.tls;
    let certificate = tls.certificate.as_ref().expect("set");
    let clients = tls.clients.as_ref().expect("set");
    let mut paths = vec![
        access.password_file.clone().expect("set"),
        access.acl_file.clone().expect("set"),
        certificate.chain.clone(),
        certificate.key.clone(),
        clients.authorities.clone(),
    ];
    paths.extend(clients.revocation_lists.iter().cloned());
    paths
}

#[test]
fn a_path_of_a_flag_goes_over_a_variable_and_that_over_the_file() {
    const FILE: &str = "
[access]
password_file = 'passwords'
acl_file = 'acl'
[tls]
certificate_file = 'cert'
key_file = 'key'
client_ca_file = 'ca'
client_revocation_files = ['crl']
";
    const VARIABLES: [(&str, &str); 6] = [
        ("QUINCE_ACCESS_PASSWORD_FILE", "v/passwords"),
        ("QUINCE_ACCESS_ACL_FILE", "v/acl"),
        ("QUINCE_TLS_CERTIFICATE_FILE", "v/cert"),
        ("QUINCE_TLS_KEY_FILE", "v/key"),
        ("QUINCE_TLS_CLIENT_CA_FILE", "v/ca"),
        ("QUINCE_TLS_CLIENT_REVOCATION_FILES", "['v/crl']"),
    ];
    let flag = |name: &str| Some(Path::new("f").join(name));
    let flags = Flags {
        password_file: flag("passwords"),
        acl_file: flag("acl"),
        certificate: flag("cert"),
        key: flag("key"),
        client_authorities: flag("ca"),
        client_revocation_lists: flag("crl").into_iter().collect(),
        ..Flags::default()
    };
    let none = Flags::default();
    for (environment, flags, folder) in [
        (&[][..], &none, "beside"),
        (&VARIABLES[..], &none, "v"),
        (&[][..], &flags, "f"),
        (&VARIABLES[..], &flags, "f"),
    ] {
        let loaded = load(FILE, environment, flags).expect("well-formed");
        let expected = ["passwords", "acl", "cert", "key", "ca", "crl"];
        assert_eq!(
            paths(&loaded),
            expected.map(|name| Path::new(folder).join(name))
        );
    }
}

#[test]
fn packets_are_limited_from_128_bytes_to_the_largest_there_is() {
    for (before, after, is_good) in [
        (128, 128, true),
        (127, 128, false),
        (128, 127, false),
        (129, 128, false),
        (128, 268_435_460, true),
        (268_435_460, 268_435_460, true),
        (128, 268_435_461, false),
    ] {
        let text = format!(
            "[limits]\npacket_before_connack_bytes = {before}\npacket_after_connack_bytes = {after}\n"
        );
        let loaded = load(&text, &[], &Flags::default());
        assert_eq!(loaded.is_ok(), is_good, "{before} {after}: {loaded:?}");
    }
}

#[test]
fn nobody_may_be_let_in_where_a_listener_does_not_say_otherwise() {
    const FILE: &str = "
[[listeners]]
url = 'tcp://127.0.0.1:0'
[[listeners]]
url = 'tcp://127.0.0.1:0'
anonymous = false
[[listeners]]
url = 'tcp://127.0.0.1:0'
anonymous = true
[[listeners]]
url = 'tcp://0.0.0.0:0'
[access]
password_file = 'passwords'
";
    for (allow_anonymous, expected) in [
        (false, [false, false, true, false]),
        (true, [true, false, true, true]),
    ] {
        let flags = Flags {
            allow_anonymous,
            ..Flags::default()
        };
        let loaded = load(FILE, &[], &flags).expect("well-formed");
        let admitted = loaded.listeners.iter().map(|it| it.admission.anonymous);
        assert!(admitted.eq(expected), "{allow_anonymous}");
        let listen = vec!["tcp://0.0.0.0:0".parse().expect("a URL")];
        let flags = Flags { listen, ..flags };
        let loaded = load(FILE, &[], &flags).expect("well-formed");
        assert_eq!(loaded.listeners[0].admission.anonymous, allow_anonymous);
    }
}
