//! Embeds `sandbox-init` in `claude-runner`, so that `claude-runner image build` needs no second file. The static
//! binary is `SANDBOX_INIT_BINARY`, else `<target directory>/sandbox-init/sandbox-init`, where `scripts/setup` puts it.
//! Without either, the build succeeds and `image build` requires `--sandbox-init`.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?);
    println!("cargo::rerun-if-env-changed=SANDBOX_INIT_BINARY");
    println!("cargo::rerun-if-changed=build.rs");

    let binary = match env::var_os("SANDBOX_INIT_BINARY") {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", Path::new(&path).display());
            Some(PathBuf::from(path))
        }
        None => default_binary(&out_dir)?,
    };
    let source = match binary.map(fs::canonicalize).transpose()? {
        Some(path) => {
            let path = path.to_str().ok_or_else(|| io::Error::other("the path of sandbox-init is not UTF-8"))?;
            format!("Some(include_bytes!({path:?}))")
        }
        None => "None".to_owned(),
    };
    fs::write(out_dir.join("sandbox_init.rs"), format!("const EMBEDDED: Option<&[u8]> = {source};\n"))
}

/// Watches the directory instead of the file: a missing watched file would rebuild the crate every time.
fn default_binary(out_dir: &Path) -> io::Result<Option<PathBuf>> {
    // Cargo puts CACHEDIR.TAG into a target directory that it creates. One that existed before has no such file.
    let is_target = |directory: &&Path| {
        directory.join("CACHEDIR.TAG").exists() || directory.join("sandbox-init/sandbox-init").exists()
    };
    let Some(target) = out_dir.ancestors().find(is_target) else { return Ok(None) };
    let directory = target.join("sandbox-init");
    fs::create_dir_all(&directory)?;
    println!("cargo::rerun-if-changed={}", directory.display());
    Ok(Some(directory.join("sandbox-init")).filter(|binary| binary.exists()))
}
