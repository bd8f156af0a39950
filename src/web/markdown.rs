//! Markdown to HTML that may be shown: what models and documents say is hostile.
//!
//! Raw HTML is shown as the text it is, links and images may only lead where a browser can go without running
//! anything (comrak leaves `javascript:` and its like out), and pages load no images from elsewhere, by their
//! content security policy.

use std::fmt;

use comrak::{Options, markdown_to_html};

/// HTML that came out of [`render`]: the only text that templates print as it is.
#[derive(Clone, Debug, Default)]
pub struct SafeHtml(String);

impl fmt::Display for SafeHtml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for SafeHtml {}

/// Renders markdown with GitHub's tables, task lists, strikethrough, footnotes and links.
pub fn render(markdown: &str) -> SafeHtml {
    html(markdown, &options())
}

/// The same with each block's lines in the source as `data-sourcepos="line:column-line:column"`. Front matter is
/// left out, where a document begins.
pub fn render_document(markdown: &str, begins: bool) -> SafeHtml {
    let mut options = options();
    if begins {
        options.extension.front_matter_delimiter = Some("---".to_owned());
    }
    options.render.sourcepos = true;
    html(markdown, &options)
}

/// A link that leads elsewhere opens beside the page, which somebody may be half through with. Each quotation mark that
/// begins an attribute is comrak's own: those of the source are escaped.
fn html(markdown: &str, options: &Options) -> SafeHtml {
    let mut html = markdown_to_html(markdown, options);
    for scheme in ["http://", "https://"] {
        let outside = format!(r#"target="_blank" rel="noopener noreferrer" href="{scheme}"#);
        html = html.replace(&format!(r#"href="{scheme}"#), &outside);
    }
    SafeHtml(html)
}

fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.tasklist = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    options.extension.footnotes = true;
    options.render.escape = true;
    options
}

#[cfg(test)]
mod tests {
    use super::{render, render_document};

    #[test]
    fn markdown_is_rendered() {
        let html = render("# Hi\n\n- [x] done\n\n|a|b|\n|-|-|\n|1|2|").to_string();
        for part in ["<h1>Hi</h1>", "checkbox", "<td>1</td>"] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
        let html = render_document("---\na: b\n---\n\ntext", true).to_string();
        assert!(html.contains("data-sourcepos=\"5:1-5:4\"") && !html.contains("a: b"), "{html}");
    }

    #[test]
    fn only_links_that_lead_elsewhere_open_beside_the_page() {
        let text = "[a](https://a.example) http://b.example [c](c.md) [d](#d) [e](http.md) `<a href=\"http://\">`";
        for html in [render(text), render_document(text, true)] {
            let html = html.to_string();
            assert_eq!(html.matches("target=\"_blank\"").count(), 2, "{html}");
        }
    }

    #[test]
    fn nothing_that_runs_comes_through() {
        for hostile in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "[x](javascript:alert(1))",
            "![x](javascript:alert(1))",
            "[x](data:text/html,<script>alert(1)</script>)",
            "<a href=\"javascript:alert(1)\">x</a>",
            "[x](vbscript:x)",
            "<svg onload=alert(1)>",
            "`<script>`\n\n```html\n<script>alert(1)</script>\n```",
            "```\"><script>alert(1)</script>\nx\n```",
            "[x]: javascript:alert(1)\n\n[x]",
            "<javascript:alert(1)>",
            "[^<script>]: x\n\n[^<script>]",
        ] {
            let html = render(hostile).to_string().to_lowercase();
            for bad in [
                "<script",
                "<svg",
                "<img src=x",
                "href=\"javascript",
                "src=\"javascript",
                "href=\"data:",
                "href=\"vbscript",
            ] {
                assert!(!html.contains(bad), "{hostile:?} became {html}");
            }
        }
    }
}
