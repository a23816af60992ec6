//! `mccli login` and what follows from it, at the test provider.

mod browser;
mod desk;
mod device;
mod keeping;
mod machine;
mod offer;
mod refresh;
mod stores;
