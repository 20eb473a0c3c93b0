//! Pages are self-contained, the same every time, and safe with hostile text.

use crate::sample::page;

/// Texts that break out of HTML where something forgets to escape (after OWASP's filter evasion list).
const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "'><iframe src=javascript:alert(1)>",
    "\" onmouseover=\"alert(1)",
    "' onfocus='alert(1)' autofocus='",
    "<a href=\"javascript:alert(1)\">x</a>",
    "]]><script>alert(1)</script>",
    "--><script>alert(1)</script><!--",
    "<math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#x3C;script&#x3E;",
    "<\u{0}script>alert(1)</script>",
    "\u{202e}txet\u{202c}",
    "<foreignObject><body onload=alert(1)></foreignObject>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
];

/// Every tag of `html` with its attributes, text dropped.
fn tags(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        rest = &rest[open..];
        let (mut end, mut quoted) = (rest.len(), false);
        for (place, c) in rest.char_indices() {
            match c {
                '"' => quoted = !quoted,
                '>' if !quoted => {
                    end = place + 1;
                    break;
                }
                _ => {}
            }
        }
        tags.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    tags
}

/// A tag without what stands between its quotes.
fn skeleton(tag: &str) -> String {
    tag.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

#[test]
fn hostile_text_changes_no_tag_and_no_attribute_name() {
    let harmless: Vec<String> = tags(&page("x").render()).iter().map(|tag| skeleton(tag)).collect();
    for text in HOSTILE {
        let html = page(text).render();
        let found: Vec<String> = tags(&html).iter().map(|tag| skeleton(tag)).collect();
        // Long labels may tilt the names of bars, which adds a transform and nothing else.
        let without = |tags: &[String]| {
            tags.iter().map(|t| t.replace(" transform=\"\"", "").replace(" text-anchor=\"\"", "")).collect::<Vec<_>>()
        };
        assert_eq!(without(&found), without(&harmless), "{text}");
        assert!(!html.contains("<script"), "{text}");
    }
}

#[test]
fn a_page_loads_nothing_and_runs_nothing() {
    let html = page("x").render();
    for forbidden in ["<script", "src=", "url(", "@import", "http://", "https://", "<link", "javascript:", " onload="] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("default-src 'none'"));
    assert!(html.contains("prefers-color-scheme:dark") && html.contains("@media print"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(page("München").render(), page("München").render());
}

#[test]
fn every_opened_element_is_closed() {
    const VOID: [&str; 3] = ["meta", "br", "!DOCTYPE"];
    let mut open: Vec<String> = Vec::new();
    for tag in tags(&page("x").render()) {
        let name: String =
            tag.trim_start_matches(['<', '/']).chars().take_while(|c| c.is_alphanumeric() || *c == '!').collect();
        if tag.starts_with("</") {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "{tag}");
        } else if !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn charts_have_a_label_and_numbers_stand_right() {
    let html = page("x").render();
    for tag in tags(&html).iter().filter(|tag| tag.starts_with("<svg")) {
        assert!(tag.contains("aria-label=") || tag.contains("aria-hidden="), "{tag}");
    }
    assert!(html.contains("<td class=\"num\">0.4121</td>") && html.contains("<td class=\"num\">1,300</td>"));
}
