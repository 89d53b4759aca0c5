//! `quince-broker passwd`: one user of a password file.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use quince_broker::{Keep, delete_user, set_password};

use crate::args::Passwd;

/// The longest password that MQTT can carry, in bytes, and its end of line.
const LONGEST: u64 = 65_535 + 2;

pub(crate) fn run(passwd: &Passwd) -> Result<(), String> {
    let (file, user) = (&passwd.file, &passwd.user);
    let done = if passwd.delete {
        delete_user(file, user).map(|()| "deleted")
    } else {
        let password = read_password(user)?;
        let keep = match passwd.iterations {
            Some(iterations) => Keep::Scram(iterations),
            None if passwd.scram => Keep::SCRAM,
            None => Keep::Argon2,
        };
        set_password(file, user, password.as_bytes(), keep)
            .map(|is_new| if is_new { "added" } else { "changed" })
    };
    let done = done.map_err(|error| error.to_string())?;
    writeln!(
        anstream::stderr(),
        "user '{user}' {done} in {}",
        file.display()
    )
    .map_err(|error| error.to_string())
}

fn read_password(user: &str) -> Result<String, String> {
    let failed = |error: io::Error| format!("failed to read the password: {error}");
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin()
            .lock()
            .take(LONGEST)
            .read_line(&mut line)
            .map_err(failed)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let ask = |prompt: String| rpassword::prompt_password(prompt).map_err(failed);
    let password = ask(format!("Password for '{user}': "))?;
    if ask("The same again: ".to_owned())? != password {
        return Err("the two passwords differ; nothing is changed".to_owned());
    }
    Ok(password)
}
