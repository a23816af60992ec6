//! Pooled names: a prefix and a number, counted up lazily.

use motley_proto::names::MAX_NAME_BYTES;

/// Most digits of a pool number.
pub const MAX_DIGITS: u8 = 9;

/// `PREFIX001`, `PREFIX002`, … up to the largest number of so many digits.
///
/// The prefix is cut so that prefix and digits fit into a name. Digits beyond [`MAX_DIGITS`] count
/// as that many; none at all make an empty pool.
pub fn texts(prefix: &str, digits: u8) -> impl Iterator<Item = String> + Send + use<> {
    let width = usize::from(digits.min(MAX_DIGITS));
    let room = MAX_NAME_BYTES - width;
    let prefix: String = prefix.chars().take(room).collect();
    let end = 10u32.pow(u32::from(digits.min(MAX_DIGITS)));
    (1..end).map(move |number| format!("{prefix}{number:0width$}"))
}
