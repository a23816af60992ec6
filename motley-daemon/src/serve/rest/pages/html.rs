//! HTML into which text gets escaped or not at all.

/// A piece of HTML. Markup is what stands in the program; everything else is text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// Markup as it stands in the program.
    pub(super) fn tag(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Any text; also good between the quotes of an attribute.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// An element that holds a text only.
    pub(super) fn element(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.tag("<").tag(name).tag(">").text(text).tag("</").tag(name).tag(">")
    }

    /// A text in which what stands between backticks is code, and addresses of web pages are links.
    pub(super) fn prose(&mut self, text: &str) -> &mut Self {
        for (index, part) in text.split('`').enumerate() {
            if index % 2 == 1 {
                self.element("code", part);
                continue;
            }
            for word in part.split_inclusive(char::is_whitespace) {
                self.word(word);
            }
        }
        self
    }

    fn word(&mut self, word: &str) -> &mut Self {
        let is_end = |c: char| c.is_whitespace() || ".,;:!?)\"'".contains(c);
        let page = word.trim_end_matches(is_end);
        match word.strip_prefix(page) {
            Some(end) if page.starts_with("https://") => self.link(page, page).text(end),
            _ => self.text(word),
        }
    }

    /// A command that fits on a line of a shell.
    pub(super) fn command(&mut self, command: &str) -> &mut Self {
        self.tag("<pre><code>").text(command).tag("</code></pre>")
    }

    /// A link to another path of ours.
    pub(super) fn link(&mut self, target: &str, label: &str) -> &mut Self {
        self.tag("<a href=\"").text(target).tag("\">").text(label).tag("</a>")
    }

    /// A way to reach somebody: a link where it is a mail address or a web page, else the text.
    pub(super) fn contact(&mut self, contact: &str) -> &mut Self {
        let is_one_word = !contact.contains(char::is_whitespace);
        match contact {
            page if is_one_word && is_harmless(page) => self.link(page, page),
            mail if is_one_word && mail.contains('@') && !mail.contains(':') => {
                self.tag("<a href=\"mailto:").text(mail).tag("\">").text(mail).tag("</a>")
            }
            text => self.text(text),
        }
    }

    /// Another piece.
    pub(super) fn piece(&mut self, piece: &Self) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    /// What a renderer made that is safe by itself.
    pub(super) fn rendered(&mut self, render: impl FnOnce(&mut String)) -> &mut Self {
        render(&mut self.0);
        self
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// True for the kinds of links that only lead somewhere.
pub(super) fn is_harmless(link: &str) -> bool {
    ["https://", "http://", "mailto:"].iter().any(|scheme| {
        link.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// A word as a shell reads it back.
pub(super) fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r31_text_can_end_neither_an_element_nor_an_attribute() {
        let hostile = "\"'><script>alert(1)</script>&amp;`<b>`";
        let mut html = Html::default();
        html.element("p", hostile).link(hostile, hostile).prose(hostile).command(hostile);
        let html = html.into_string();
        let own =
            ["<p>", "</p>", "<a href=\"", "\">", "</a>", "<code>", "</code>", "<pre>", "</pre>"];
        let rest = own.iter().fold(html, |html, tag| html.replace(tag, ""));
        assert!(!rest.contains(['<', '>', '"', '\'']), "{rest}");
    }

    #[test]
    fn only_what_can_be_followed_without_harm_becomes_a_link() {
        let shown = |contact: &str| {
            let mut html = Html::default();
            html.contact(contact);
            html.into_string()
        };
        assert_eq!(shown("a@b.example"), "<a href=\"mailto:a@b.example\">a@b.example</a>");
        assert_eq!(shown("https://a"), "<a href=\"https://a\">https://a</a>");
        for text in ["javascript:alert(1)@b", "data:a@b", "ask room 5", "java\tscript:a"] {
            assert!(!shown(text).contains("href"), "{text}");
        }
    }

    #[test]
    fn addresses_in_prose_can_be_followed() {
        let mut html = Html::default();
        html.prose("See https://a.example/x, or `https://b`. http://c javascript:d");
        assert_eq!(
            html.into_string(),
            "See <a href=\"https://a.example/x\">https://a.example/x</a>, or <code>https://b</code>. \
             http://c javascript:d"
        );
    }

    #[test]
    fn a_command_that_is_copied_is_one_command() {
        assert_eq!(shell_word("https://op.example/a"), "https://op.example/a");
        assert_eq!(shell_word("a; id"), "'a; id'");
        assert_eq!(shell_word("it's"), "'it'\\''s'");
        assert_eq!(shell_word(""), "''");
    }
}
