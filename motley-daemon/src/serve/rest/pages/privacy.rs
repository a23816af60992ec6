//! The privacy statement: the admin's Markdown as HTML, without anything in it that acts.

use super::files::{self, Stamp};
use super::html::{Html, is_harmless};
use pulldown_cmark::{
    CowStr, Event, Options, Parser, Tag, TagEnd, TextMergeStream, html::push_html,
};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// Longest statement, in bytes.
const LONGEST: u64 = 256 * 1024;
/// What stands for the contact in the statement.
const CONTACT: &str = "{{privacy_contact}}";

/// The statement in the file, as it is now.
pub(super) struct Privacy {
    file: PathBuf,
    contact: String,
    kept: Mutex<Option<(Stamp, Arc<Html>)>>,
}

impl Privacy {
    /// A statement in Markdown in which `{{privacy_contact}}` stands for `contact`.
    pub(super) fn new(file: PathBuf, contact: String) -> Self {
        Self { file, contact, kept: Mutex::new(None) }
    }

    /// The statement; `None` when there is none that can be read. The file is read anew when it has
    /// changed.
    pub(super) fn current(&self) -> Option<Arc<Html>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(&self.file).ok()?;
        if let Some((_, html)) = kept.as_ref().filter(|(old, _)| *old == stamp) {
            return Some(html.clone());
        }
        let (stamp, text) = files::read(&self.file, LONGEST)
            .inspect_err(|error| {
                tracing::warn!(file = %self.file.display(), %error, "[privacy] privacy_file");
            })
            .ok()?;
        let html = Arc::new(render(&text, &self.contact));
        *kept = Some((stamp, html.clone()));
        Some(html)
    }
}

/// Markdown as HTML: raw HTML and images are left out, links lead to the web or to mail only.
fn render(markdown: &str, contact: &str) -> Html {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let parser = TextMergeStream::new(Parser::new_ext(markdown, options));
    let mut open_links = Vec::new();
    let events = parser.filter_map(|event| harmless(event, &mut open_links));
    let mut html = Html::default();
    html.rendered(|out| push_html(out, events.map(|event| with_contact(event, contact))));
    html
}

/// What of an event may be shown. `open_links` holds for each link that is open whether it is shown.
fn harmless<'a>(event: Event<'a>, open_links: &mut Vec<bool>) -> Option<Event<'a>> {
    match event {
        Event::Html(_) | Event::InlineHtml(_) => None,
        Event::Start(Tag::HtmlBlock | Tag::Image { .. }) => None,
        Event::End(TagEnd::HtmlBlock | TagEnd::Image) => None,
        Event::Start(Tag::Link { ref dest_url, .. }) => {
            let is_shown = is_harmless(dest_url);
            open_links.push(is_shown);
            is_shown.then_some(event)
        }
        Event::End(TagEnd::Link) => open_links.pop().unwrap_or(false).then_some(event),
        event => Some(event),
    }
}

/// The contact in the place of what stands for it. It is text wherever it comes to stand.
fn with_contact<'a>(event: Event<'a>, contact: &str) -> Event<'a> {
    let put = |text: CowStr<'a>| -> CowStr<'a> {
        if text.contains(CONTACT) { text.replace(CONTACT, contact).into() } else { text }
    };
    match event {
        Event::Text(text) => Event::Text(put(text)),
        Event::Code(text) => Event::Code(put(text)),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let (dest_url, title) = (put(dest_url), put(title));
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        event => event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(markdown: &str) -> String {
        render(markdown, "privacy@site.example").into_string()
    }

    #[test]
    fn the_contact_stands_wherever_the_statement_asks_for_it() {
        let html = shown(
            "# {{privacy_contact}}\n\nAsk {{privacy_contact}} or \
             [them {{privacy_contact}}](mailto:{{privacy_contact}}), `{{privacy_contact}}`.\n\n\
             | a |\n|---|\n| {{privacy_contact}} |\n",
        );
        assert_eq!(html.matches("privacy@site.example").count(), 6, "{html}");
        assert!(html.contains("<a href=\"mailto:privacy@site.example\">"), "{html}");
        assert!(!html.contains("{{"), "{html}");
    }

    #[test]
    fn r31_the_contact_is_text_and_nothing_else() {
        let hostile = "\"><script>alert(1)</script>[a](javascript:b)";
        let text = "{{privacy_contact}} [x](mailto:{{privacy_contact}}) `{{privacy_contact}}`";
        let html = render(text, hostile).into_string();
        assert!(!html.contains("<script") && !html.contains("href=\"javascript"), "{html}");
        assert_eq!(html.matches("<a ").count(), 1, "{html}");
    }

    #[test]
    fn r31_nothing_in_the_statement_acts() {
        for markdown in [
            "<script>alert(1)</script>",
            "a <script>alert(1)</script> b",
            "<img src=x onerror=alert(1)>",
            "<svg/onload=alert(1)>",
            "<iframe src=\"https://evil.example\"></iframe>",
            "<style>*{display:none}</style>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<form action=//evil.example><input></form>",
            "<meta http-equiv=refresh content=0;url=//evil.example>",
            "<!--x-->\n<?php ?>\n<![CDATA[x]]>\n<!DOCTYPE x>",
            "<div\nonclick=alert(1)>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](java&#115;cript:alert(1))",
            "[x](javascript&colon;alert(1))",
            "[x](\\javascript:alert(1))",
            "[x](data:text/html;base64,PHNjcmlwdD4=)",
            "[x](vbscript:x)",
            "[x](//evil.example)",
            "[x](/user/suspend)",
            "[x](http:evil)",
            "<javascript:alert(1)>",
            "[x]\n\n[x]: javascript:alert(1)",
            "[x]: <javascript:alert(1)> \"t\"\n\n[x][x]",
            "![x](https://evil.example/pixel.png)",
            "![x](javascript:alert(1))",
            "[![x](https://evil.example/pixel.png)](javascript:alert(1))",
            "```<script>alert(1)</script>\n</code></pre><script>x</script>\n```",
            "``` \"><script>\nx\n```",
            "`<script>`",
            "# a {#\"><script>}",
        ] {
            let html = shown(markdown);
            let lower = html.to_lowercase();
            for bad in [
                "<script",
                "<img",
                "<svg",
                "<iframe",
                "<style",
                "<form",
                "<input",
                "<meta",
                "<div",
                "<!",
                "<?",
                "href=\"java",
                "href=\"vb",
                "href=\"data",
                "href=\"/",
                "<a ",
                "src=",
            ] {
                assert!(!lower.contains(bad), "{markdown}: {html}");
            }
        }
    }

    #[test]
    fn what_a_statement_needs_is_shown() {
        let html = shown(
            "# Title\n\nSome *words* & <more>\n\n* one\n* two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n\
             [law](https://law.example \"t\\\"x\") [write](MAILTO:a@b.example) <https://a.example> ~~no~~\n",
        );
        for part in [
            "<h1>Title</h1>",
            "<em>words</em> &amp;",
            "<li>one</li>",
            "<td>1</td>",
            "<a href=\"https://law.example\" title=\"t&quot;x\">law</a>",
            "<a href=\"MAILTO:a@b.example\">write</a>",
            "<a href=\"https://a.example\">",
            "<del>no</del>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn a_changed_statement_is_read_again_and_a_missing_or_endless_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("statement.md");
        let privacy = Privacy::new(file.clone(), String::new());
        assert!(privacy.current().is_none());
        std::fs::write(&file, "first").unwrap();
        assert!(privacy.current().unwrap().as_ref().clone().into_string().contains("first"));
        std::fs::write(&file, "second one").unwrap();
        assert!(privacy.current().unwrap().as_ref().clone().into_string().contains("second one"));
        std::fs::write(&file, "x".repeat(300_000)).unwrap();
        assert!(privacy.current().is_none());
        std::fs::remove_file(&file).unwrap();
        assert!(privacy.current().is_none());
    }
}
