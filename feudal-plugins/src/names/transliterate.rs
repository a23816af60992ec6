//! Letters of the world in ASCII, so that people keep the names that sites have given them so far.
//!
//! The tables are those of `deunicode`. Names were made with other tables before, which know fewer
//! characters and write some differently; a person's name must not change with the software.

use std::ops::RangeInclusive;

/// Characters without a spelling: they vanish from a name. Most are symbols, emoji and scripts that
/// hardly anybody writes a name in. Sorted.
const WITHOUT_SPELLING: &[RangeInclusive<u32>] = &[
    // modifier letters
    0x2e5..=0x2eb,
    0x2ef..=0x2ff,
    // Greek additions
    0x370..=0x373,
    0x376..=0x37d,
    0x3f4..=0x3ff,
    // Cyrillic supplement
    0x4fa..=0x52f,
    0x58d..=0x5b0,
    // Arabic signs and supplement
    0x600..=0x60b,
    0x60d..=0x616,
    0x63b..=0x63f,
    0x656..=0x65f,
    0x74d..=0x77f,
    // N'Ko, Samaritan, Mandaic
    0x7b1..=0x900,
    // additions to the scripts of India
    0x971..=0x980,
    0x9fa..=0xa01,
    0xaf0..=0xaff,
    0xb70..=0xb77,
    0xbf3..=0xc00,
    0xc58..=0xc5d,
    0xc77..=0xc81,
    0xcf1..=0xd01,
    0xd4e..=0xd56,
    0xd58..=0xd5f,
    0xd70..=0xd81,
    0xde6..=0xdef,
    // Lao, Tibetan and Myanmar additions
    0xe8e..=0xe93,
    0xf01..=0xf07,
    0xf15..=0xf1f,
    0xf82..=0xf8f,
    0xfc4..=0xfda,
    0x103b..=0x103f,
    0x105a..=0x109f,
    // old Georgian, old Hangul
    0x10f7..=0x10fa,
    0x10fc..=0x10ff,
    0x113c..=0x113f,
    0x114e..=0x1151,
    0x115a..=0x115e,
    0x11a3..=0x11a7,
    0x11fa..=0x11ff,
    // Ethiopic supplement, Cherokee additions
    0x1380..=0x138f,
    0x13f5..=0x1400,
    0x1677..=0x167f,
    // Tagalog, Hanunoo, Buhid
    0x16f1..=0x1773,
    0x17f0..=0x17f9,
    // Limbu to Vedic
    0x18aa..=0x1cf7,
    // phonetic supplement
    0x1d23..=0x1d2b,
    0x1d78..=0x1d7c,
    0x1d8f..=0x1df4,
    0x1efa..=0x1eff,
    // symbols, arrows, mathematics, emoji
    0x2058..=0x205e,
    0x2135..=0x2138,
    0x213c..=0x2144,
    0x2184..=0x2188,
    0x21f4..=0x2211,
    0x2218..=0x2222,
    0x2224..=0x2234,
    0x2238..=0x223b,
    0x223d..=0x2263,
    0x2268..=0x2302,
    0x2304..=0x2328,
    0x232b..=0x244a,
    0x2596..=0x259f,
    0x25f8..=0x2653,
    0x2668..=0x266e,
    0x2670..=0x2730,
    0x2732..=0x2757,
    0x2763..=0x27e5,
    0x27ea..=0x27ff,
    0x2900..=0x2981,
    0x2985..=0x2a73,
    0x2a77..=0x2c5f,
    // Coptic, Tifinagh
    0x2c70..=0x2dff,
    // radicals
    0x2e44..=0x2ffb,
    0x303b..=0x303f,
    // marks and strokes
    0x3095..=0x309c,
    0x3190..=0x319f,
    0x31b8..=0x31ff,
    0x3244..=0x3250,
    // CJK extension A, hexagrams
    0x3400..=0x4dff,
    // CJK additions, Lisu to Meetei Mayek
    0x9fa6..=0x9ffc,
    0xa4d0..=0xabf9,
    0xd7b0..=0xd7fb,
    // compatibility ideographs
    0xfa2d..=0xfad9,
    // Arabic presentation forms
    0xfb50..=0xfe19,
    0xfe45..=0xfe4f,
    0xfe70..=0xfefc,
    // all planes beyond the first, but for letters in frames and for mathematics
    0xfffc..=0x1d378,
    0x1d6db..=0x1d7cb,
    0x1da87..=0x1f0f5,
    0x1f10b..=0x1f10f,
    0x1f14a..=0x1f14f,
    0x1f18a..=0x1f18f,
    0x1f1e6..=0x1f66f,
    0x1f67c..=0x10ffff,
];

/// Spellings that differ after a name was cleaned. Sorted.
const SPELLED: &[(char, &str)] = &[
    ('¼', " 1/4"),
    ('½', " 1/2"),
    ('¾', " 3/4"),
    ('Є', "Ie"),
    ('א', "A"),
    ('ח', "H"),
    ('ך', "KH"),
    ('כ', "KH"),
    ('ק', "k"),
    ('ײ', "EY"),
    ('№', "No. "),
    ('℠', "(sm)"),
    ('™', "(tm)"),
    ('し', "shi"),
    ('ち', "chi"),
    ('っ', "tsu"),
    ('つ', "tsu"),
    ('シ', "shi"),
    ('チ', "chi"),
    ('ッ', "tsu"),
    ('ツ', "tsu"),
    ('ー', "-"),
    ('么', "Yao "),
    ('什', "Shi "),
    ('价', "Jie "),
    ('旅', "Lu "),
    ('术', "Zhu "),
];

/// Writes a text in ASCII; characters without a spelling vanish.
pub(super) fn to_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() { out.push(c) } else { out.push_str(spelling(c)) }
    }
    out
}

fn spelling(c: char) -> &'static str {
    if let Ok(at) = SPELLED.binary_search_by_key(&c, |(from, _)| *from) {
        return SPELLED.get(at).map(|(_, to)| *to).unwrap_or_default();
    }
    let code = u32::from(c);
    let at = WITHOUT_SPELLING.partition_point(|range| *range.end() < code);
    if WITHOUT_SPELLING.get(at).is_some_and(|range| range.contains(&code)) {
        return "";
    }
    deunicode::deunicode_char(c).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_are_sorted_and_so_can_be_searched() {
        assert!(SPELLED.is_sorted_by(|a, b| a.0 < b.0));
        assert!(WITHOUT_SPELLING.is_sorted_by(|a, b| a.end() < b.start()));
    }

    #[test]
    fn letters_are_spelled_and_symbols_vanish() {
        assert_eq!(to_ascii("Łukasz Євген シモン"), "Lukasz Ievgen shimon");
        assert_eq!(to_ascii("a😀b❤c\u{3400}d"), "abcd");
    }
}
