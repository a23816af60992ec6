//! `mccli ssh-stop`: ends shared connections.

use crate::{
    cli::Options,
    error::{Error, Result},
    master::{Destination, Master, Sockets},
    report,
};

/// Ends the one to a host, or all of them.
///
/// # Errors
/// [`Error::Ssh`] for what is no host, [`Error::File`] when the sockets can't be looked at.
pub(super) fn run(_options: &Options, host: Option<&str>) -> Result<()> {
    let mut ended = 0_usize;
    for sockets in Sockets::everywhere() {
        let masters = match host {
            Some(host) => vec![of(&sockets, host)?],
            None => sockets
                .all()
                .map_err(|source| Error::File { path: sockets.folder().to_owned(), source })?,
        };
        ended += masters.iter().filter(|master| master.end()).count();
    }
    report::info(&format!("ended: {ended}"));
    Ok(())
}

fn of(sockets: &Sockets, host: &str) -> Result<Master> {
    sockets.of(&Destination::new(host, 22)?, "*")
}
