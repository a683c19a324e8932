//! Random documents: definitions that refer to each other, and valuations that refer to them.

use std::fmt::Write;

use crate::chance::Chance;

const TAGS: [&str; 5] = ["market", "model", "curve", "rate", "x"];
const NAMES: [&str; 4] = ["a", "b", "c", ""];
const TEXTS: [&str; 7] = ["1", "9", "ab", " ", "\n  ", "é&amp;&lt;", "p:t"];
/// The depth of the levels below a definition or a valuation.
const MAX_DEPTH: usize = 3;

#[allow(clippy::struct_excessive_bools)] // Each flag is independent.
struct Writer<'c> {
    out: String,
    chance: &'c mut Chance,
    notes: usize,
    /// How many definitions may be referred to from here: the earlier ones, or all.
    known: usize,
    /// Whether references only go back, so that none can lead to itself.
    acyclic: bool,
    /// Whether a `use` binds a context here.
    used: bool,
    /// Whether the content binds prefixes anew.
    foreign: bool,
    /// Whether the document may have errors other than cycles.
    careless: bool,
}

/// The document that this generator makes.
pub fn document(chance: &mut Chance) -> String {
    if chance.percent(1) {
        return chain(60 + chance.below(10));
    }
    let mut writer = Writer {
        acyclic: chance.percent(70),
        foreign: chance.percent(30),
        careless: chance.percent(25),
        out: "<vnml xmlns:p='urn:p'><project>".to_owned(),
        chance,
        notes: 0,
        known: 0,
        used: false,
    };
    let definitions = 1 + writer.chance.below(5);
    for number in 0..definitions {
        writer.known = if writer.acyclic { number } else { definitions };
        let tag = *writer.chance.one(&TAGS);
        writer.element(tag, 0, false);
        writer.blank();
    }
    writer.known = definitions;
    for _ in 0..=writer.chance.below(2) {
        writer.out.push_str("<group>");
        for _ in 0..=writer.chance.below(2) {
            writer.valuation();
        }
        writer.out.push_str("</group>");
    }
    writer.out.push_str("</project></vnml>");
    writer.out
}

/// Definitions that each refer to the next one, one reference after the other.
fn chain(references: usize) -> String {
    let mut out = "<vnml><project>".to_owned();
    for next in 2..=references {
        let _ = write!(out, "<m><x select='/vnml/project/*[{next}]'/></m>");
    }
    out.push_str("<m><rate>1</rate></m><group><valuation><y select='/vnml/project/*[1]'/>");
    out.push_str("</valuation></group></project></vnml>");
    out
}

impl Writer<'_> {
    fn valuation(&mut self) {
        self.out.push_str("<valuation");
        self.used = self.chance.percent(30);
        if self.used {
            let source = self.definition();
            let child = if self.careless {
                *self.chance.one(&TAGS)
            } else {
                "rate"
            };
            let expanded = match self.chance.below(if self.careless { 12 } else { 8 }) {
                0..6 => format!("vn:link({source}, {child})"),
                6 => format!("vn:link( {source} | /vnml/project/*[1] ,{child})"),
                7 => format!("vn:link(//{child}/.., {child})"),
                8 => format!("vn:link({source} {child})"),
                9 => format!("vn:other({source}, {child})"),
                10 => format!("vn:link(./{child}, {child})"),
                _ => format!("vn:link({source}, {child}"),
            };
            let _ = write!(self.out, " use=\"{expanded}\"");
        }
        let selects = self.chance.percent(5);
        self.attributes(selects, false);
        self.out.push('>');
        self.content(1, true);
        self.out.push_str("</valuation>");
        self.used = false;
    }

    /// Writes an element. Inside a valuation it has references more often.
    fn element(&mut self, tag: &str, depth: usize, refers: bool) {
        let (mut tag, mut binds) = (tag.to_owned(), "");
        let mut foreign = false;
        if self.foreign && self.chance.percent(20) {
            (tag, binds) = match self.chance.below(5) {
                0 => (format!("p:{tag}"), ""),
                1 => (format!("q:{tag}"), " xmlns:q='urn:p'"),
                2 => (format!("q:{tag}"), " xmlns:q='urn:q'"),
                3 => (tag, " xmlns='urn:p'"),
                _ => (tag, " xmlns=''"),
            };
            foreign = self.chance.percent(90);
        }
        let _ = write!(self.out, "<{tag}{binds}");
        let mut selects = self.chance.percent(if refers { 45 } else { 15 });
        selects &= depth > 0 || self.chance.percent(20);
        selects &= self.known > 0 || self.careless;
        if self.chance.percent(1) {
            self.out.push_str(" use=\"vn:link(/vnml, project)\"");
        }
        self.attributes(selects, foreign);
        if depth == 0 {
            self.out.push('>');
            self.leaf();
            self.content(1, refers);
            let _ = write!(self.out, "</{tag}>");
            return;
        }
        if self.chance.percent(20) {
            self.out.push_str("/>");
            return;
        }
        self.out.push('>');
        self.content(depth + 1, refers);
        let _ = write!(self.out, "</{tag}>");
    }

    /// Writes the content that most references to a definition need.
    fn leaf(&mut self) {
        if self.chance.percent(95) {
            let (name, id) = (*self.chance.one(&NAMES), *self.chance.one(&["1", "2"]));
            let text = *self.chance.one(&TEXTS);
            let _ = write!(
                self.out,
                "<rate name='{name}' id='{id}' v='3'>{text}</rate>"
            );
        }
    }

    fn attributes(&mut self, selects: bool, foreign: bool) {
        if self.chance.percent(35) {
            let value = self.value(&NAMES, false);
            let _ = write!(self.out, " name=\"{value}\"");
        }
        if self.chance.percent(25) {
            let value = self.value(&["1", "2"], false);
            let _ = write!(self.out, " id=\"{value}\"");
        }
        for name in ["v", "w", "p:v"] {
            if self.chance.percent(15) {
                let value = self.value(&["1", "2", "p:t", "x ${select(/vnml)}", ""], true);
                let _ = write!(self.out, " {name}=\"{value}\"");
            }
        }
        if selects {
            let expression = if foreign && self.chance.percent(50) {
                "no expression".to_owned()
            } else {
                self.expression()
            };
            let _ = write!(self.out, " select=\"{expression}\"");
        }
    }

    /// One of these values, or a placeholder.
    fn value(&mut self, of: &[&str], also_elements: bool) -> String {
        if self.known == 0 || !self.chance.percent(12) {
            return (*self.chance.one(of)).to_owned();
        }
        if self.used && self.chance.percent(50) {
            let what = *self.chance.one(&["@name", "@id", "@v", "text()"]);
            return format!("${{select(./{what})}}");
        }
        let from = self.definition();
        let what = match self.chance.below(if also_elements { 6 } else { 5 }) {
            0 | 1 => "@name",
            2 => "@id",
            3 => "@v",
            4 => "text()",
            _ => ".",
        };
        format!("${{select({from}/*[1]/{what})}}")
    }

    fn expression(&mut self) -> String {
        if self.careless && self.chance.percent(10) {
            let odd = [
                "",
                "/vnml/[",
                "/p:x",
                "./x",
                ".",
                "/vnml",
                "/vnml/project",
                "//x",
                "//*",
                "//@name",
                "/vnml/none",
                "//valuation",
                "/vnml/project/*[1]/@name",
                "/vnml/project/*[1]/..",
            ];
            return (*self.chance.one(&odd)).to_owned();
        }
        if self.used && self.chance.percent(40) {
            let below = [".", ".", ".", ".", "../*[1]", "./../rate[1]"];
            return (*self.chance.one(&below)).to_owned();
        }
        let definition = self.definition();
        match self.chance.below(20) {
            0 => format!("{definition}/*[1]"),
            1 => format!("{definition}/*[last()] | {definition}/@name"),
            2 if self.careless => format!("{definition}//*[@name='a'][1]"),
            3 if !self.acyclic => format!("//{}[@id='1']", self.chance.one(&TAGS)),
            _ => definition,
        }
    }

    /// A path to a definition that may be referred to from here.
    fn definition(&mut self) -> String {
        match self.known {
            0 => "/vnml/project/none".to_owned(),
            known => format!("/vnml/project/*[{}]", 1 + self.chance.below(known)),
        }
    }

    fn content(&mut self, depth: usize, refers: bool) {
        self.note();
        if self.chance.percent(60) {
            self.text();
        }
        self.note();
        if self.chance.percent(15) {
            self.text();
        }
        let fewest = usize::from(depth == 1);
        let children = fewest + self.chance.below(4 - depth.min(3));
        if depth > MAX_DEPTH || children == 0 {
            return;
        }
        for _ in 0..children {
            let tag = *self.chance.one(&TAGS);
            // A reference before the first definition would only be an error.
            let refers = refers && self.known > 0 && self.chance.percent(80);
            self.element(tag, depth, refers);
            self.blank();
            if self.chance.percent(5) {
                self.text();
            }
            self.note();
        }
    }

    fn text(&mut self) {
        let text = *self.chance.one(&TEXTS);
        self.out.push_str(text);
    }

    fn blank(&mut self) {
        if self.chance.percent(20) {
            self.out.push_str("\n  ");
        }
    }

    fn note(&mut self) {
        if self.chance.percent(8) {
            self.notes += 1;
            let number = self.notes;
            let _ = match self.chance.below(2) {
                0 => write!(self.out, "<!--{number}-->"),
                _ => write!(self.out, "<?n {number}?>"),
            };
        }
    }
}
