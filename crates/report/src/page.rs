//! The page shell: one self-contained file.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::component::{Tone, badge};

const STYLE: &str = include_str!("style.css");
// No script, no request: what is in the file is all there is.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// One page: a header with facts, then sections.
#[derive(Debug, Clone, Default)]
pub struct Page {
    title: String,
    kicker: String,
    lead: String,
    badges: Vec<(Tone, String)>,
    facts: Vec<(String, String)>,
    top: Vec<Markup>,
    sections: Vec<Section>,
    footer: String,
}

/// A titled part of a page.
#[derive(Debug, Clone, Default)]
pub struct Section {
    title: String,
    intro: String,
    blocks: Vec<Markup>,
}

impl Page {
    /// A page named `title`.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// The small line above the title: what kind of page this is.
    #[must_use]
    pub fn kicker(mut self, text: impl Into<String>) -> Self {
        self.kicker = text.into();
        self
    }

    /// One or two sentences below the title.
    #[must_use]
    pub fn lead(mut self, text: impl Into<String>) -> Self {
        self.lead = text.into();
        self
    }

    /// A coloured label beside the title.
    #[must_use]
    pub fn badge(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.badges.push((tone, text.into()));
        self
    }

    /// A fact of the header.
    #[must_use]
    pub fn fact(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((label.into(), value.into()));
        self
    }

    /// A block between the header and the first section, such as a verdict.
    #[must_use]
    pub fn top(mut self, block: Markup) -> Self {
        self.top.push(block);
        self
    }

    /// The next section.
    #[must_use]
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The next sections.
    #[must_use]
    pub fn sections(mut self, sections: impl IntoIterator<Item = Section>) -> Self {
        self.sections.extend(sections);
        self
    }

    /// Gives the sections away, to be shown on another page.
    pub fn into_sections(self) -> Vec<Section> {
        self.sections
    }

    /// The line at the end.
    #[must_use]
    pub fn footer(mut self, text: impl Into<String>) -> Self {
        self.footer = text.into();
        self
    }

    /// The whole file.
    pub fn render(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        @if !self.kicker.is_empty() { p.kicker { (self.kicker) } }
                        h1 { (self.title) @for (tone, text) in &self.badges { " " (badge(*tone, text)) } }
                        @if !self.lead.is_empty() { p.lead { (self.lead) } }
                        @if !self.facts.is_empty() {
                            dl.facts { @for (label, value) in &self.facts { div { dt { (label) } dd { (value) } } } }
                        }
                    }
                    @if self.sections.len() > 3 {
                        nav aria-label="Sections" {
                            @for (place, section) in self.sections.iter().enumerate() {
                                a href={ "#s" (place + 1) } { (section.title) }
                            }
                        }
                    }
                    main {
                        @for block in &self.top { (block) }
                        @for (place, section) in self.sections.iter().enumerate() {
                            section id={ "s" (place + 1) } {
                                h2 { (section.title) }
                                @if !section.intro.is_empty() { p.intro { (section.intro) } }
                                @for block in &section.blocks { (block) }
                            }
                        }
                    }
                    @if !self.footer.is_empty() { footer { (self.footer) } }
                }
            }
        };
        page.into_string()
    }
}

impl Section {
    /// A section named `title`.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Its name.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// A sentence below the heading.
    #[must_use]
    pub fn intro(mut self, text: impl Into<String>) -> Self {
        self.intro = text.into();
        self
    }

    /// A smaller heading inside the section.
    #[must_use]
    pub fn heading(mut self, text: &str) -> Self {
        self.blocks.push(html! { h3 { (text) } });
        self
    }

    /// The next block.
    #[must_use]
    pub fn block(mut self, block: Markup) -> Self {
        self.blocks.push(block);
        self
    }

    /// Blocks side by side where there is room.
    #[must_use]
    pub fn row(mut self, blocks: impl IntoIterator<Item = Markup>) -> Self {
        self.blocks.push(html! { div.grid { @for block in blocks { (block) } } });
        self
    }
}
