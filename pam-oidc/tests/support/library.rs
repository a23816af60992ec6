//! Finds the built module, and builds the one that panics on request.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The built module: from the folder named by `MOTLEY_BIN_DIR`, else next to this test.
pub(crate) fn module() -> PathBuf {
    let folder = env::var_os("MOTLEY_BIN_DIR").map_or_else(target_folder, PathBuf::from);
    let names = ["libpam_oidc_token.so", "pam_oidc_token.so"];
    let found = names.iter().map(|name| folder.join(name)).find(|path| path.exists());
    found
        .unwrap_or_else(|| panic!("no module in {}: run cargo build -p pam-oidc", folder.display()))
}

fn target_folder() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}

/// Builds the module with the feature `test-panic`, in a target folder of its own, and finds it.
pub(crate) fn panicking_module() -> PathBuf {
    let target = target_folder().parent().unwrap().join("test-panic");
    eprintln!("building the module that panics on request into {} …", target.display());
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "pam-oidc", "--lib", "--features", "test-panic"])
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .unwrap();
    assert!(status.success(), "the build failed");
    target.join("debug/libpam_oidc_token.so")
}
