//! Tokens verified against a small provider on the loopback interface that misbehaves on demand.

mod cases;
mod double;
mod facts;
mod faults;
mod holders;
mod isolation;
mod kinds;
mod needed;
mod offered;
mod opaque;
mod roads;
mod tokens;
