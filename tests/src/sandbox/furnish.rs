//! Furnishing the new namespaces: which directories are private, and how they get their contents.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

use super::{BASE, binaries, check_run};

/// Directories that are private but start with the host's contents.
const PRIVATE: [&str; 4] = ["/etc", "/home", "/var", "/root"];
/// Device files taken over from the host.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Where names come from.
const NAMES: &str =
    "passwd: files\ngroup: files\nshadow: files\ngshadow: files\nhosts: files dns\n";

/// How the private directories are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layers {
    /// overlayfs over the host's directories.
    Overlay,
    /// Copies of small directories, empty large ones: for containers that refuse overlayfs.
    /// `SANDBOX_LAYERS=copy` asks for it.
    Copy,
}

/// What may differ from one sandbox to another.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The host name inside.
    pub host: String,
    /// Directories that stay visible although they lie below a private one.
    pub keep: Vec<PathBuf>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { host: "login-node".to_owned(), keep: Vec::new() }
    }
}

/// Makes everything private; to be called once, as process 1 of the new namespaces.
pub(crate) fn furnish(surroundings: &Surroundings) -> Result<()> {
    bind_flags("/", MsFlags::MS_REC | MsFlags::MS_PRIVATE).context("cannot make mounts private")?;
    make_run()?;
    bind(&binaries::dir()?, Path::new(binaries::INSIDE))?;
    make_dev()?;
    let layers = make_private_directories(&surroundings.keep)?;
    let used = match layers {
        Layers::Overlay => "overlay",
        Layers::Copy => "copy",
    };
    fs::write(Path::new(BASE).join("layers-used"), used)?;
    // The files alone: whatever else the host asks for names does not run in here.
    fs::write("/etc/nsswitch.conf", NAMES).context("cannot write /etc/nsswitch.conf")?;
    make_network(&surroundings.host)
}

/// The directory of PAM modules on this distribution.
pub(crate) fn pam_dir() -> Option<PathBuf> {
    let arch = env::consts::ARCH;
    [
        format!("/usr/lib/{arch}-linux-gnu/security"),
        format!("/lib/{arch}-linux-gnu/security"),
        "/usr/lib64/security".into(),
        "/usr/lib/security".into(),
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|dir| dir.join("pam_unix.so").exists())
}

fn make_run() -> Result<()> {
    mount_tmpfs(Path::new("/run"), "mode=755")?;
    for (dir, mode) in [
        (BASE, 0o755),
        ("/run/sandbox/layers", 0o700),
        ("/run/sandbox/logs", 0o755),
        ("/run/sandbox/work", 0o755),
        (binaries::INSIDE, 0o755),
        ("/run/sshd", 0o755),
        ("/run/lock", 0o1777),
    ] {
        make_dir(Path::new(dir), mode)?;
    }
    Ok(())
}

/// A `/dev` of its own, because `/dev/log` must be ours and pseudo-terminals must not be shared.
fn make_dev() -> Result<()> {
    let dev = Path::new(BASE).join("dev");
    make_dir(&dev, 0o755)?;
    mount_tmpfs(&dev, "mode=755")?;
    for name in DEVICES {
        fs::write(dev.join(name), "")?;
        bind(&Path::new("/dev").join(name), &dev.join(name))?;
    }
    make_dir(&dev.join("shm"), 0o1777)?;
    make_dir(&dev.join("pts"), 0o755)?;
    let options = "newinstance,ptmxmode=0666,mode=0620,gid=5";
    mount(Some("devpts"), &dev.join("pts"), Some("devpts"), MsFlags::empty(), Some(options))
        .context("cannot mount devpts")?;
    for (link, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dev.join(link))?;
    }
    mount(Some(&dev), "/dev", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .context("cannot put the private /dev into place")
}

fn make_private_directories(keep: &[PathBuf]) -> Result<Layers> {
    // Never with the host's contents: they are other processes' business.
    replace(Path::new("/tmp"), keep)?;
    let mut dirs: Vec<PathBuf> = PRIVATE.iter().map(PathBuf::from).collect();
    dirs.extend(pam_dir());
    if env::var("SANDBOX_LAYERS").as_deref() != Ok("copy") {
        // Either all or none: a half-overlaid system would hide which way was tested.
        match dirs.iter().try_for_each(|dir| overlay(dir)) {
            Ok(()) => return Ok(Layers::Overlay),
            Err(error) => eprintln!("sandbox: no overlayfs here ({error:#}), using copies"),
        }
    }
    dirs.iter().try_for_each(|dir| replace(dir, keep))?;
    Ok(Layers::Copy)
}

fn overlay(dir: &Path) -> Result<()> {
    let layer = layer_of(dir);
    let (upper, work) = (layer.join("upper"), layer.join("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    // The merged directory shows the upper one's mode.
    fs::set_permissions(&upper, fs::metadata(dir)?.permissions())?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        dir.display(),
        upper.display(),
        work.display()
    );
    mount(Some("overlay"), dir, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .with_context(|| format!("cannot overlay {}", dir.display()))
}

/// Binds a copy (or, where a copy would be large, an empty directory) over `dir`.
fn replace(dir: &Path, keep: &[PathBuf]) -> Result<()> {
    let layer = layer_of(dir);
    let (host, own) = (layer.join("host"), layer.join("own"));
    fs::create_dir_all(&host)?;
    fs::create_dir_all(&own)?;
    fs::set_permissions(&own, fs::metadata(dir)?.permissions())?;
    bind(dir, &host)?;
    match dir.to_str() {
        Some("/home" | "/root" | "/tmp") => {}
        Some("/var") => make_empty_var(&own)?,
        _ => {
            let from = format!("{}/.", dir.display());
            check_run("cp", &["-a", &from, &own.to_string_lossy()])?;
        }
    }
    for kept in keep.iter().filter_map(|kept| kept.strip_prefix(dir).ok()) {
        fs::create_dir_all(own.join(kept))?;
    }
    bind(&own, dir)?;
    for kept in keep {
        if let Ok(below) = kept.strip_prefix(dir) {
            bind(&host.join(below), kept)?;
        }
    }
    Ok(())
}

fn make_empty_var(var: &Path) -> Result<()> {
    for dir in ["lib", "log", "cache", "mail", "spool", "lib/pam", "backups"] {
        make_dir(&var.join(dir), 0o755)?;
    }
    make_dir(&var.join("tmp"), 0o1777)?;
    symlink("/run", var.join("run"))?;
    symlink("/run/lock", var.join("lock"))?;
    Ok(())
}

fn make_network(host: &str) -> Result<()> {
    check_run("ip", &["link", "set", "lo", "up"])
        .context("the sandbox needs the program ip (iproute2) and, in a container, the right to manage its own network (CAP_NET_ADMIN)")?;
    nix::unistd::sethostname(host)?;
    fs::write("/etc/hosts", format!("127.0.0.1 localhost\n127.0.0.1 {host}\n::1 localhost\n"))?;
    fs::write("/etc/hostname", format!("{host}\n"))?;
    Ok(())
}

fn layer_of(dir: &Path) -> PathBuf {
    let name = dir.to_string_lossy().replace('/', "-");
    Path::new(BASE).join("layers").join(name)
}

fn make_dir(dir: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(fs::set_permissions(dir, Permissions::from_mode(mode))?)
}

fn mount_tmpfs(dir: &Path, options: &str) -> Result<()> {
    mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some(options))
        .with_context(|| format!("cannot mount a tmpfs on {}", dir.display()))
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .with_context(|| format!("cannot bind {} to {}", from.display(), to.display()))
}

fn bind_flags(dir: &str, flags: MsFlags) -> Result<()> {
    Ok(mount(None::<&str>, dir, None::<&str>, flags, None::<&str>)?)
}
