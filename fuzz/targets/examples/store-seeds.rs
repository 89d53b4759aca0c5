//! Writes inputs for the target `store` to begin with: `store-seeds FOLDER`.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = env::args_os()
        .nth(1)
        .ok_or_else(|| io::Error::other("usage: store-seeds FOLDER"))?;
    fs::create_dir_all(&folder)?;
    for (name, bytes) in quince_fuzz_targets::store_seeds() {
        fs::write(Path::new(&folder).join(name), bytes)?;
    }
    Ok(())
}
