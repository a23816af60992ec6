//! `mccli login` and what follows from it, at the test provider.

mod browser;
mod desk;
mod device;
mod keeping;
mod refresh;
mod stores;
