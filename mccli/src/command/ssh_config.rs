//! `mccli ssh-config`: the block in the configuration of ssh that makes plain ssh log in.

use crate::{
    cli::{Options, Sharing, SshConfigLine},
    error::{Error, Result},
    files, folders,
    master::Sockets,
    report, shell_words,
    ssh_block::{self, Block, Pattern},
};
use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Ending of the copy that is left beside the file.
const BACKUP_ENDING: &str = "before-mccli";

/// Prints the block, writes it or takes it out.
///
/// # Errors
/// [`Error::Usage`] for what can't be written into the configuration, [`Error::SshConfig`] for a
/// file that can't be changed.
pub(super) fn run(options: &Options, line: &SshConfigLine) -> Result<()> {
    if line.remove {
        return change(|text| ssh_block::without_block(text));
    }
    if line.mode == Sharing::Askpass {
        return print_for_the_shell(line);
    }
    let block = block(options, line)?;
    if line.install {
        return change(|text| ssh_block::with_block(text, &block));
    }
    report::result(&block)?;
    Ok(())
}

fn block(options: &Options, line: &SshConfigLine) -> Result<String> {
    refuse_what_would_be_lost(options)?;
    let patterns: Result<Vec<Pattern>> = line.hosts.iter().map(|text| Pattern::new(text)).collect();
    let mut taken = vec![("persist", line.persist.to_string())];
    if let Some(path) = &options.config {
        let path = std::path::absolute(path)?;
        taken.push(("config", path.to_string_lossy().into_owned()));
    }
    taken.extend(options.profile.clone().map(|name| ("profile", name)));
    Block {
        patterns: &patterns?,
        user: &folders::user_name()?,
        program: &std::env::current_exe()?,
        options: &taken,
        sockets: Sockets::usual()?.folder(),
    }
    .lines()
}

/// A token must not stand in a file, and the rest has its place in `config.toml`.
fn refuse_what_would_be_lost(options: &Options) -> Result<()> {
    let given = [
        ("--token", options.token.is_some()),
        ("--token-file", options.token_file.is_some()),
        ("--token-cmd", options.token_cmd.is_some()),
        ("--oidc", options.oa_account.is_some()),
        ("--iss", options.iss.is_some()),
        ("--mytoken", options.mytoken.is_some()),
        ("--mytoken-server", options.mytoken_server.is_some()),
        ("--wlcg", options.wlcg),
        ("--mc-endpoint", options.mc_endpoint.is_some()),
        ("--ca-file", options.ca_file.is_some()),
        ("--insecure", options.insecure),
        ("--allow-http", options.allow_http),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(Error::Usage(format!(
            "{name} does not go into the configuration of ssh\nWrite it into {} as [profile.NAME] or [host.\"PATTERN\"]; --profile and --config are taken along.",
            folders::config().join("config.toml").display()
        ))),
        None => Ok(()),
    }
}

/// ssh takes an askpass from its environment only, so no block can do this: these lines do.
fn print_for_the_shell(line: &SshConfigLine) -> Result<()> {
    if line.install {
        return Err(Error::Usage(
            "no configuration of ssh can name an askpass, so there is nothing to install\nWithout --install the lines for your shell are printed; --mode mux needs none.".to_owned(),
        ));
    }
    let own = std::env::current_exe()?;
    let ssh = own.with_file_name("mccli-ssh");
    let word = shell_words::quote(&ssh.to_string_lossy());
    report::result(&format!(
        "# Each connection logs in by itself. For the start-up file of your shell:\n\
         alias ssh={word}\n\
         alias scp={}\n\
         alias sftp={}\n\
         export GIT_SSH={word}\n\
         export RSYNC_RSH={word}\n\
         export ANSIBLE_SSH_EXECUTABLE={word}\n",
        shell_words::quote(&format!("scp -S {word}")),
        shell_words::quote(&format!("sftp -S {word}")),
    ))?;
    Ok(())
}

fn change(edit: impl FnOnce(&[u8]) -> std::result::Result<Vec<u8>, String>) -> Result<()> {
    let named = folders::home().join(".ssh/config");
    let failed = |reason: String| Error::SshConfig { path: named.clone(), reason };
    let (path, before, mode) = open(&named).map_err(|error| failed(error.to_string()))?;
    let after = edit(&before).map_err(failed)?;
    if after == before {
        report::info(&format!("{} needs no change", path.display()));
        return Ok(());
    }
    let failed = |error: io::Error| failed(error.to_string());
    if !before.is_empty() {
        let backup = path.with_added_extension(BACKUP_ENDING);
        files::replace(&backup, &before, mode).map_err(failed)?;
    }
    files::replace(&path, &after, mode).map_err(failed)?;
    report::info(&format!("{} is written", path.display()));
    Ok(())
}

/// The file behind the name, its text and mode. Links are followed to a file of the user's own, as
/// ssh itself demands.
fn open(named: &Path) -> io::Result<(PathBuf, Vec<u8>, u32)> {
    let path = match fs::symlink_metadata(named) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = named.parent().unwrap_or(Path::new("/"));
            if !folder.exists() {
                files::private_folder(folder)?;
            }
            return Ok((fs::canonicalize(folder)?.join("config"), Vec::new(), 0o600));
        }
        Err(error) => return Err(error),
        Ok(_) => fs::canonicalize(named)
            .map_err(|error| io::Error::new(error.kind(), format!("it leads nowhere: {error}")))?,
    };
    let it = fs::metadata(&path)?;
    let uid = nix::unistd::geteuid().as_raw();
    if !it.is_file() || (it.uid() != uid && uid != 0) || it.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "{} must be a file of yours that nobody else can write; ssh refuses it too",
            path.display()
        )));
    }
    Ok((path.clone(), fs::read(&path)?, it.mode() & 0o777))
}
