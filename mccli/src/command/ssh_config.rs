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
    let named = folders::ssh().join("config");
    if line.remove {
        return change(&named, ssh_block::without_block);
    }
    if line.mode == Sharing::Askpass {
        return print_for_the_shell(line);
    }
    let block = block(options, line)?;
    if line.install {
        return change(&named, |text| ssh_block::with_block(text, &block));
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
    // The shell reads an alias once more, and rsync takes its variable apart by itself.
    let twice = shell_words::quote(&word);
    report::result(&format!(
        "# Each connection logs in by itself. For the start-up file of your shell:\n\
         alias ssh={twice}\n\
         alias scp={}\n\
         alias sftp={}\n\
         export GIT_SSH={word}\n\
         export RSYNC_RSH={twice}\n\
         export ANSIBLE_SSH_EXECUTABLE={word}\n",
        shell_words::quote(&format!("scp -S {word}")),
        shell_words::quote(&format!("sftp -S {word}")),
    ))?;
    Ok(())
}

fn change(
    named: &Path,
    edit: impl FnOnce(&[u8]) -> std::result::Result<Vec<u8>, String>,
) -> Result<()> {
    let failed = |reason: String| Error::SshConfig { path: named.to_owned(), reason };
    let (path, before, mode) = open(named).map_err(|error| failed(error.to_string()))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn install(named: &Path) -> Result<()> {
        change(named, |text| ssh_block::with_block(text, "BLOCK\n"))
    }

    #[test]
    fn the_first_installation_makes_a_private_file() {
        let home = tempfile::tempdir().unwrap();
        let named = home.path().join(".ssh/config");
        install(&named).unwrap();
        assert_eq!(fs::read_to_string(&named).unwrap(), "BLOCK\n");
        assert_eq!((mode(&named), mode(named.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(named.parent().unwrap()).unwrap().count(), 1, "nothing is left");
    }

    #[test]
    fn mode_and_link_are_kept_and_the_text_before_stays_beside() {
        let home = tempfile::tempdir().unwrap();
        let (named, real) = (home.path().join("config"), home.path().join("dotfiles"));
        fs::write(&real, "Host a\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).unwrap();
        symlink("dotfiles", &named).unwrap();
        install(&named).unwrap();
        assert!(fs::symlink_metadata(&named).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "BLOCK\nHost a\n");
        assert_eq!(mode(&real), 0o644);
        let backup = home.path().join("dotfiles.before-mccli");
        assert_eq!(fs::read_to_string(backup).unwrap(), "Host a\n");
    }

    #[test]
    fn what_is_no_file_of_the_users_own_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let named = home.path().join("config");
        symlink("nowhere", &named).unwrap();
        assert!(install(&named).unwrap_err().to_string().contains("leads nowhere"));
        fs::remove_file(&named).unwrap();
        fs::write(&named, "x").unwrap();
        fs::set_permissions(&named, fs::Permissions::from_mode(0o622)).unwrap();
        assert!(install(&named).unwrap_err().to_string().contains("nobody else"));
        assert_eq!(fs::read_to_string(&named).unwrap(), "x");
        fs::remove_file(&named).unwrap();
        fs::create_dir(&named).unwrap();
        assert!(install(&named).is_err());
    }

    #[test]
    fn a_file_with_broken_marks_stays_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let named = home.path().join("config");
        fs::write(&named, "# >>> mccli ssh-config >>>\n").unwrap();
        let error = install(&named).unwrap_err().to_string();
        assert!(error.contains("config: line 1"), "{error}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
