//! Text from outside made fit for a log line, a prompt or a mail: one line, nothing that acts.

use std::fmt::Write;

/// Marks that reorder or hide what a reader sees (Unicode TR #36 §3.4).
fn deceives(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// True for a character that is not shown but acts: it controls, reorders or hides.
pub fn acts(c: char) -> bool {
    c.is_control() || deceives(c)
}

/// The text with control and deceiving characters written as `\u{..}`, cut to `limit` characters.
pub fn escape(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for (count, c) in text.chars().enumerate() {
        if count == limit {
            out.push('…');
            break;
        }
        if acts(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r31_text_from_outside_can_neither_break_a_line_nor_act_on_a_terminal() {
        assert_eq!(
            escape("a\nb\r\x1b[31mc\0\u{202e}d", 100),
            "a\\u{a}b\\u{d}\\u{1b}[31mc\\u{0}\\u{202e}d"
        );
        assert_eq!(escape(&"x".repeat(70_000), 10), format!("{}…", "x".repeat(10)));
        assert_eq!(escape("Jörg Ünicode", 100), "Jörg Ünicode");
    }
}
