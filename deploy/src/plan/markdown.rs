//! Names in Markdown. They come from tags, so anybody who tags a resource writes them.

/// A name as Markdown that shows it and does nothing: letters and digits as they stand, everything else as code whose
/// every mark is an entity. No table, link, HTML, reference or emoji comes of it, and no mention: where people are
/// mentioned, code is left out.
#[must_use]
pub fn name(text: &str) -> String {
    let letters = |c: char| c.is_alphanumeric() || c == '-';
    if text.starts_with(char::is_alphanumeric) && text.chars().all(letters) {
        return text.to_owned();
    }
    let mut out = String::from("<code>");
    for c in text.chars() {
        match c {
            // A line's end would end the table.
            c if c.is_control() => out.push(' '),
            c if c.is_alphanumeric() || c == '-' || c == ' ' || !c.is_ascii() => out.push(c),
            mark => out.push_str(&format!("&#{};", u32::from(mark))),
        }
    }
    out.push_str("</code>");
    out
}

#[cfg(test)]
mod tests {
    use super::name;

    /// What a browser shows of it.
    fn shown(markdown: &str) -> String {
        let inner = markdown.strip_prefix("<code>").and_then(|rest| rest.strip_suffix("</code>"));
        let mut parts = inner.unwrap_or(markdown).split("&#");
        let mut out = parts.next().unwrap().to_owned();
        for part in parts {
            let (number, rest) = part.split_once(';').unwrap();
            out.push(char::from_u32(number.parse().unwrap()).unwrap());
            out.push_str(rest);
        }
        out
    }

    #[test]
    fn nothing_in_a_name_acts() {
        for plain in ["checkout", "cc-1100", "UNALLOCATED", "Zürich"] {
            assert_eq!(name(plain), plain);
        }
        let marks: String = (' '..='~').collect();
        for odd in [
            "@octocat",
            "a|b",
            "a\\|b",
            "<img src=x onerror=alert(1)>",
            "</code><b>",
            "&lt;",
            "`x`",
            "**bold** _it_ ~~no~~",
            "[link](https://example.com)",
            "https://example.com",
            "# heading",
            "#42",
            "-1",
            ":rocket:",
            "$x$",
            marks.as_str(),
        ] {
            let made = name(odd);
            let inner = made.strip_prefix("<code>").unwrap().strip_suffix("</code>").unwrap();
            assert_eq!(shown(&made), odd);
            let bare = inner.replace("&#", "").replace(';', "");
            let safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == ' ';
            assert!(bare.chars().all(safe), "{made}");
        }
        assert_eq!(name("a\r\n| x |"), "<code>a  &#124; x &#124;</code>");
    }
}
