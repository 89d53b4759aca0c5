//! Broken configurations, each a folder in `tests/broken`: none starts, each says where the mistake is and what to do, and
//! at a reload what was in force stays in force.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use quince_broker::{Access, Configuration, Flags, Problem, Server};

use crate::login::{Login, connack};

/// Good contents for each file that a configuration names.
const GOOD: [(&str, &str); 3] = [
    ("passwords", include_str!("../data/mosquitto-7.passwords")),
    ("acl", "user alice\ntopic read a/#\n"),
    ("key", "0123456789abcdef0123456789abcdef"),
];

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 30, "cases are missing");
    cases
}

fn name(case: &Path) -> String {
    case.file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}

fn load(folder: &Path) -> Result<(Configuration, Access), Problem> {
    let configuration =
        Configuration::load(Some(&folder.join("config.toml")), [], &Flags::default())?;
    let access = Access::load(configuration.access.clone())?;
    Ok((configuration, access))
}

/// Text as it is in every folder.
fn portable(text: &str, folder: &Path) -> String {
    let prefix = format!("{}/", folder.display());
    text.replace(&prefix, "")
}

#[test]
fn each_says_what_is_wrong_where_and_what_to_do() {
    let mut told = String::new();
    for case in cases() {
        let problem = load(&case).expect_err(&name(&case));
        let line = portable(&problem.to_string(), &case);
        assert!(
            line.split_once(": ")
                .is_some_and(|(_, text)| text.contains("; ")),
            "no help: {line}"
        );
        told += &format!(
            "## {}\n{line}\n{}\n",
            name(&case),
            portable(&problem.explain(), &case)
        );
    }
    insta::assert_snapshot!(told);
}

#[test]
fn the_daemon_refuses_each() {
    for case in cases() {
        let config = case.join("config.toml");
        for arguments in [
            &["--config", config.to_str().expect("text")][..],
            &["check-config", config.to_str().expect("text")],
        ] {
            let output = Command::cargo_bin("quince-broker")
                .expect("built")
                .args(arguments)
                .timeout(std::time::Duration::from_secs(20))
                .output()
                .expect("runs");
            assert_eq!(output.status.code(), Some(1), "{}: {output:?}", name(&case));
            assert!(output.stdout.is_empty(), "{output:?}");
            assert!(!output.stderr.is_empty());
        }
    }
}

#[tokio::test]
async fn at_a_reload_what_was_in_force_stays() {
    let mut tried = 0;
    for case in cases() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        fs::copy(case.join("config.toml"), folder.join("config.toml")).expect("copied");
        for (file, text) in GOOD {
            fs::write(folder.join(file), text).expect("written");
        }
        // The others are broken in the configuration itself, which is not read again, or name another kind of key.
        let Ok((configuration, access)) = load(folder) else {
            continue;
        };
        tried += 1;
        let has_users = configuration.access.password_file.is_some();
        let server = Server::start(&configuration.listeners, configuration.settings, access)
            .await
            .expect("bound");
        for (file, _) in GOOD {
            match fs::copy(case.join(file), folder.join(file)) {
                Ok(_) => {}
                Err(_) => fs::remove_file(folder.join(file)).expect("was there"),
            }
        }
        let problem = server.reload().expect_err(&name(&case));
        assert_eq!(
            portable(&problem.to_string(), folder),
            portable(&load(&case).expect_err("broken").to_string(), &case),
            "the same words as at a start"
        );
        if has_users {
            let address = server.listeners()[0].url().address();
            let alice = Login::new("a").user("alice").password("correct horse");
            assert_eq!(connack(address, &alice).await, 0, "{}", name(&case));
            let wrong = Login::new("a").user("alice").password("wrong");
            assert_eq!(connack(address, &wrong).await, 0x86, "{}", name(&case));
            assert_eq!(
                connack(address, &Login::new("a")).await,
                0x87,
                "{}",
                name(&case)
            );
        }
        server.shut_down().await;
    }
    assert!(tried >= 20, "only {tried} could be tried");
}
