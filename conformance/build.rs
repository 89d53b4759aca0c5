//! Lists the scenario files, so that they become part of the binary.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let crate_root =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let root = crate_root.join("scenarios");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let rows = files.iter().map(|file| {
        let name = file
            .strip_prefix(&crate_root)
            .unwrap_or(file)
            .display()
            .to_string()
            .replace('\\', "/");
        format!(
            "({name:?}, include_str!({:?})),\n",
            file.display().to_string()
        )
    });
    fs::write(
        out.join("scenarios.rs"),
        format!("&[\n{}]", rows.collect::<String>()),
    )
}

/// Finds every `.kdl` below a folder; none if it does not exist.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "kdl") {
            files.push(path);
        }
    }
    Ok(())
}
