//! What carries the client's token: ssh, scp, sftp, rsync, git and ansible, each of them the real program.

mod copying;
mod old_ssh;
mod programs;
mod road;
mod secrecy;
mod session;
