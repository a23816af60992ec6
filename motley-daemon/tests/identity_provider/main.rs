//! Tokens verified against a small provider on the loopback interface that misbehaves on demand.

mod cases;
mod double;
mod faults;
mod holders;
mod opaque;
mod tokens;
