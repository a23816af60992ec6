//! The words on the wire between motley's processes, and the border types they are made of.
//!
//! Every process parses what it receives into these types once; a value that exists is valid.
//! Nothing here does input or output except [`client`], the blocking side of the codec.

pub mod admin;
pub mod approval;
pub mod client;
pub mod code;
pub mod facts;
pub mod frame;
pub mod identity;
pub mod knock;
pub mod login;
pub mod name_service;
pub mod names;
pub mod node;
pub mod peer;
pub mod rest;
pub mod secret;
pub mod ssh_key;
pub mod task;
pub mod text;

pub use code::Code;
pub use identity::{Audience, Identity, Issuer, Subject, UniqueId};
pub use names::{Gid, GroupName, LoginName, Uid, UserName};
pub use node::NodeName;
pub use secret::Secret;
pub use ssh_key::SshKey;
