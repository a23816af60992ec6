//! What carries the client's token: ssh, scp, sftp, rsync, git and ansible, each of them the real program.

mod aliases;
mod copying;
mod forwarding;
mod host_keys;
mod inspection;
mod naming;
mod old_ssh;
mod programs;
mod refused;
mod road;
mod secrecy;
mod session;
