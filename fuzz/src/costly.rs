//! Makes costly documents from any bytes. Each byte chooses the next construct to nest, chain,
//! repeat or multiply, and how often.

/// The largest document that is built.
const DOCUMENT_MAX: usize = 512 * 1024;
/// The longest expression.
const EXPRESSION_MAX: usize = 16 * 1024;
/// How deeply constructs nest before the plain choice is made.
const DEPTH_MAX: usize = 12;

/// The document that these bytes describe.
pub fn document(bytes: &[u8]) -> Vec<u8> {
    let mut choices = Choices(bytes);
    let mut out = String::from("<vnml><project><m/><x><p/><p/></x>");
    for _ in 0..=choices.below(6) {
        let piece = choices.definition(0);
        push(&mut out, &piece);
    }
    for _ in 0..=choices.below(4) {
        let times = choices.times();
        let group = choices.group();
        push(&mut out, &repeated(&group, times));
    }
    out.push_str("</project></vnml>");
    out.into_bytes()
}

struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    /// The next byte; zero at the end of the input, which is always the plainest choice.
    fn next(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(*first)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() % bound
    }

    /// A count: few at the start, up to 65,536.
    fn times(&mut self) -> usize {
        let byte = self.next();
        // A power of two, and a little more.
        (1 << (byte % 17)) + byte / 17
    }

    fn definition(&mut self, depth: usize) -> String {
        if depth > DEPTH_MAX {
            return "<x/>".into();
        }
        match self.below(11) {
            0 => "<x/>".into(),
            1 => format!("<b>{}</b>", repeated(self.text(), self.times())),
            2 => repeated(&self.definition(depth + 1), self.times()),
            3 => {
                let levels = self.below(126);
                let inner = self.definition(depth + 1);
                format!("{}{inner}{}", "<d>".repeat(levels), "</d>".repeat(levels))
            }
            4 => format!("<m{}>{}</m>", self.attributes(), self.definition(depth + 1)),
            5 => {
                // Links that each select the next one this many times.
                let (links, width) = (self.below(80), self.below(12));
                let link = |n: usize| {
                    let child = format!("<c select=\"/vnml/project/m[@name='{}']\"/>", n + 1);
                    format!("<m name='{n}'>{}</m>", child.repeat(width))
                };
                format!("{}<m name='{links}'/>", numbered(links, link))
            }
            6 => {
                let prefixes = numbered(self.below(140), |n| format!(" xmlns:p{n}='urn:p{n}'"));
                format!("<n{prefixes}>{}</n>", self.definition(depth + 1))
            }
            7 => format!("<m><!--c-->t{}</m>", repeated("<!--c-->t", self.times())),
            8 => {
                let count = self.times();
                numbered(count, |n| format!("<y name='{n}' id='{}'/>", count - n))
            }
            9 => format!("<x>{}</x>", repeated("<p/>", self.times())),
            _ => format!("<k>{}</k>", self.selecting(depth + 1)),
        }
    }

    fn attributes(&mut self) -> String {
        let prefix = ["a", "b", "c"][self.below(3)];
        let count = self.times().min(12_000);
        numbered(count, |n| format!(" {prefix}{n}='v'"))
    }

    fn text(&mut self) -> &'static str {
        ["t", "12", " ", "é", "&amp;", "<![CDATA[x]]>"][self.below(6)]
    }

    fn group(&mut self) -> String {
        let name = ["", " name='g'", " name='echo'"][self.below(3)];
        let mut inner = String::new();
        for _ in 0..self.below(4) {
            let times = self.times();
            let valuation = self.valuation();
            push(&mut inner, &repeated(&valuation, times));
        }
        format!("<group{name}>{inner}</group>")
    }

    fn valuation(&mut self) -> String {
        match self.below(5) {
            0 => "<valuation/>".into(),
            1 => format!("<valuation>{}</valuation>", self.selecting(0)),
            2 => {
                let (of, child) = (self.path(0), self.path(0));
                format!("<valuation use=\"vn:link({of}, {child})\"/>")
            }
            3 => {
                let of = self.path(0);
                format!(
                    "<valuation use=\"vn:link({of}, p)\">{}</valuation>",
                    self.selecting(0)
                )
            }
            _ => {
                let taken = self.path(0);
                let times = self.below(20);
                let attributes = numbered(times, |n| format!(" a{n}=\"${{select({taken})}}\""));
                format!("<valuation{attributes}/>")
            }
        }
    }

    /// An element with a `select`, and with content of its own to lay over the selected element.
    fn selecting(&mut self, depth: usize) -> String {
        let expression = match self.below(4) {
            0 => format!("/vnml/project/m[{}]", self.expression(0)),
            1 => "/vnml/project/m[@name='0']".into(),
            2 => self.path(0),
            _ => format!("/vnml/project/*[{}]", 1 + self.below(8)),
        };
        let attributes = if self.below(4) == 3 {
            self.attributes()
        } else {
            String::new()
        };
        let own = if self.below(4) == 3 {
            self.definition(depth + 1)
        } else {
            String::new()
        };
        format!("<p select=\"{expression}\"{attributes}>{own}</p>")
    }

    /// An expression that gives nodes.
    fn path(&mut self, depth: usize) -> String {
        let plain = [
            "/vnml/project/x",
            "//x",
            "//b",
            "//*",
            "//@*",
            "//text()",
            "//y",
            "//d",
        ];
        let path = plain[self.below(plain.len())].to_owned();
        if depth > DEPTH_MAX {
            return path;
        }
        match self.below(9) {
            0 => path,
            1 => format!("{path}[{}]", self.expression(depth + 1)),
            2 => {
                let axes = [
                    "following",
                    "preceding",
                    "following-sibling",
                    "preceding-sibling",
                    "ancestor-or-self",
                    "descendant",
                ];
                format!("{path}/{}::*", axes[self.below(axes.len())])
            }
            3 => chained(&path, "|", &self.path(depth + 1), self.times()),
            4 => chained(&path, "", "//*", self.below(12)),
            5 => chained(&path, "", "/.", self.times()),
            6 => {
                let predicate = self.expression(depth + 1);
                chained(&path, "", &format!("[{predicate}]"), self.times())
            }
            7 => format!("id({})", self.expression(depth + 1)),
            _ => {
                let levels = self.below(70);
                let inner = self.expression(depth + 1);
                format!(
                    "{path}{}{inner}{}",
                    "[x".repeat(levels) + "[",
                    "]".repeat(levels + 1)
                )
            }
        }
    }

    /// Any expression.
    fn expression(&mut self, depth: usize) -> String {
        if depth > DEPTH_MAX {
            return "1".into();
        }
        let made = match self.below(14) {
            0 => "1".into(),
            1 => "'abc'".into(),
            2 => "last()".into(),
            3 => self.path(depth + 1),
            4 => {
                let operators = ["+", "*", "-", " or ", " and ", "=", "!=", "&lt;", " mod "];
                let operator = operators[self.below(operators.len())];
                chained("1", operator, &self.expression(depth + 1), self.times())
            }
            5 => {
                let levels = self.below(70);
                let inner = self.expression(depth + 1);
                let after = repeated("+1", self.times());
                let room = EXPRESSION_MAX / (levels + 1);
                let after = if after.len() > room { "*1" } else { &after };
                format!(
                    "{}{inner}{}",
                    "(".repeat(levels),
                    format!("{after})").repeat(levels)
                )
            }
            6 => {
                let names = [
                    "count",
                    "sum",
                    "string-length",
                    "not",
                    "number",
                    "string",
                    "boolean",
                ];
                let name = names[self.below(names.len())];
                let of = if matches!(name, "count" | "sum") {
                    self.path(depth + 1)
                } else {
                    self.expression(depth + 1)
                };
                format!("{name}({of})")
            }
            7 => {
                let argument = self.expression(depth + 1);
                format!(
                    "concat({})",
                    chained(&argument, ",", &argument, self.times())
                )
            }
            8 => {
                let (of, by) = (self.expression(depth + 1), self.expression(depth + 1));
                format!("translate({of},{by},'')")
            }
            9 => {
                let sought = "abcdefgh".repeat(self.times().min(1_000));
                format!("translate({},'{sought}','')", self.expression(depth + 1))
            }
            10 => {
                let names = [
                    "contains",
                    "starts-with",
                    "substring-before",
                    "substring-after",
                ];
                let name = names[self.below(names.len())];
                format!(
                    "{name}({},{})",
                    self.expression(depth + 1),
                    self.expression(depth + 1)
                )
            }
            11 => {
                let operators = ["=", "!=", "&lt;", "&gt;="];
                let operator = operators[self.below(operators.len())];
                format!("{}{operator}{}", self.path(depth + 1), self.path(depth + 1))
            }
            12 => format!("normalize-space({})", self.expression(depth + 1)),
            _ => format!("lang({})", self.expression(depth + 1)),
        };
        if made.len() > EXPRESSION_MAX {
            "1".into()
        } else {
            made
        }
    }
}

/// A repetition, as long as there is room.
fn repeated(piece: &str, times: usize) -> String {
    piece.repeat(times.min(DOCUMENT_MAX / piece.len().max(1)))
}

/// The first piece, followed by this many repetitions of an operator and another piece.
fn chained(first: &str, operator: &str, piece: &str, times: usize) -> String {
    let one = format!("{operator}{piece}");
    let times = times.min(EXPRESSION_MAX / one.len().max(1));
    format!("{first}{}", one.repeat(times))
}

fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    let mut all = String::new();
    for n in 0..count {
        push(&mut all, &piece(n));
    }
    all
}

/// Appends a piece if there is room.
fn push(all: &mut String, piece: &str) {
    if all.len() + piece.len() <= DOCUMENT_MAX {
        all.push_str(piece);
    }
}
