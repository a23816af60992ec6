//! Whether a client would rather read HTML than JSON (RFC 9110 §12.5.1).

use axum::http::{HeaderMap, header};

/// True when HTML is wanted more than JSON. Programs that take anything go on getting JSON.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<Range> =
        values.flat_map(|value| value.split(',')).filter_map(Range::read).collect();
    quality(&ranges, "text", "html") > quality(&ranges, "application", "json")
}

/// One media range with its weight in thousandths.
struct Range {
    kind: String,
    subtype: String,
    quality: u16,
}

impl Range {
    /// `None` when it is malformed, and so says nothing.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let weight = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let quality = match weight {
            Some((_, value)) => read_weight(value.trim())?,
            None => 1000,
        };
        let lower = |word: &str| word.trim().to_ascii_lowercase();
        Some(Self { kind: lower(kind), subtype: lower(subtype), quality })
    }

    /// How exactly it means a media type; `None` when it does not.
    fn precision(&self, kind: &str, subtype: &str) -> Option<u8> {
        match (self.kind.as_str(), self.subtype.as_str()) {
            (k, s) if k == kind && s == subtype => Some(2),
            (k, "*") if k == kind => Some(1),
            ("*", "*") => Some(0),
            _ => None,
        }
    }
}

/// `0`, `0.5`, `1.000`: at most three digits behind the point (RFC 9110 §12.4.2).
fn read_weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// The weight of a media type: that of the most exact range that means it.
fn quality(ranges: &[Range], kind: &str, subtype: &str) -> u16 {
    let meant =
        ranges.iter().filter_map(|range| Some((range.precision(kind, subtype)?, range.quality)));
    meant.max_by_key(|(precision, _)| *precision).map_or(0, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn prefers(values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        prefers_html(&headers)
    }

    #[test]
    fn browsers_get_html() {
        for accept in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
            "text/html, application/json;q=0.9",
            "text/*",
            "TEXT/HTML",
            "text/html;q=0.3, */*;q=0.2",
            "application/json;q=0, */*",
        ] {
            assert!(prefers(&[accept]), "{accept}");
        }
        assert!(prefers(&["application/json;q=0.5", "text/html"]), "several headers are one list");
    }

    #[test]
    fn programs_go_on_getting_json() {
        for accept in [
            "*/*",
            "application/json",
            "application/json, text/plain, */*",
            "application/json, text/html",
            "text/html;q=0.5, application/json",
            "text/html;q=0, */*;q=0.1",
            "text/html;q=1.5",
            "text/html;q=0.1234",
            "text/html;q=x",
            "html",
            "",
        ] {
            assert!(!prefers(&[accept]), "{accept}");
        }
        assert!(!prefers(&[]));
    }
}
