//! Reading a task document: the values the valuer needs, and the places its answers go.

use domain::FailureCode;
use std::borrow::Cow;

use crate::executor::Fault;
use crate::executor::walk::{Defect, Step, Tag, Walk};

/// The first valuation of a task document.
const VALUATION: [&str; 4] = ["vnml", "project", "group", "valuation"];

/// A value the valuer may need, by where the valuation has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    MarketRate,
    EvaluationDate,
    BondPrincipal,
    BondRate,
    BondFrequency,
    BondMaturity,
    BondTerm,
    LoanPrincipal,
    LoanRate,
    LoanFrequency,
    LoanMaturity,
    LoanTerm,
}

/// Every field with its path below the valuation, in the order of [`Field`].
const FIELDS: [(Field, &[&str]); 12] = [
    (Field::MarketRate, &["market", "rate"]),
    (Field::EvaluationDate, &["analytics", "evaluation", "date"]),
    (Field::BondPrincipal, &["instrument", "bond", "principal"]),
    (Field::BondRate, &["instrument", "bond", "coupon", "rate"]),
    (
        Field::BondFrequency,
        &["instrument", "bond", "coupon", "frequency"],
    ),
    (
        Field::BondMaturity,
        &["instrument", "bond", "maturity", "date"],
    ),
    (Field::BondTerm, &["instrument", "bond", "term"]),
    (Field::LoanPrincipal, &["instrument", "loan", "principal"]),
    (Field::LoanRate, &["instrument", "loan", "rate"]),
    (Field::LoanFrequency, &["instrument", "loan", "frequency"]),
    (
        Field::LoanMaturity,
        &["instrument", "loan", "maturity", "date"],
    ),
    (Field::LoanTerm, &["instrument", "loan", "term"]),
];

impl Field {
    /// The path below the valuation, for people.
    pub fn path(self) -> String {
        FIELDS[self as usize].1.join("/")
    }
}

/// An amount that the valuer answers with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Price,
    AccruedInterest,
}

/// Every answer with its path below the valuation, in the order of [`Answer`].
const ANSWERS: [[&str; 3]; 2] = [
    ["analytics", "price", "amount"],
    ["analytics", "accruedInterest", "amount"],
];

/// An element of the document, by its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub tag: Tag<'a>,
    /// Where its end tag begins, once that has been read; an empty element has none.
    pub close: Option<usize>,
}

/// The path to an answer's element, as much of it as the document has.
#[derive(Debug, Default)]
pub(super) struct Way<'a>([Option<Place<'a>>; 3]);

/// The parsed parts of a valuation.
#[derive(Debug)]
pub(super) struct Valuation<'a> {
    /// The valuation's own element.
    pub tag: Tag<'a>,
    values: [Option<Cow<'a, str>>; FIELDS.len()],
    /// The children of the instrument, in order. The first priceable one is priced.
    pub instruments: Vec<&'a str>,
    ways: [Way<'a>; ANSWERS.len()],
}

impl<'a> Valuation<'a> {
    fn new(tag: Tag<'a>) -> Self {
        Self {
            tag,
            values: Default::default(),
            instruments: Vec::new(),
            ways: Default::default(),
        }
    }

    /// A field's text without the white space of XML around it; blank is as good as absent.
    pub fn text(&self, field: Field) -> Option<&str> {
        let text = self.values[field as usize].as_deref()?;
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        (!text.is_empty()).then_some(text)
    }

    /// The deepest element there is on the way to an answer, and the names still to be made in it.
    pub fn place(&self, answer: Answer) -> (Option<Place<'a>>, &'static [&'static str]) {
        let names = &ANSWERS[answer as usize];
        let way = &self.ways[answer as usize].0;
        match way.iter().rposition(Option::is_some) {
            Some(depth) => (way[depth], &names[depth + 1..]),
            None => (None, names),
        }
    }

    /// Whether the document has the element that asks for an answer.
    pub fn asks_for(&self, answer: Answer) -> bool {
        self.ways[answer as usize].0[1].is_some()
    }

    /// Records an element. Returns its field, if its text is needed.
    fn open(&mut self, path: &[&'a str], tag: Tag<'a>) -> Option<Field> {
        for (way, names) in self.ways.iter_mut().zip(&ANSWERS) {
            if names.starts_with(path) {
                way.0[path.len() - 1].get_or_insert(Place { tag, close: None });
            }
        }
        if let ["instrument", kind] = path {
            self.instruments.push(kind);
        }
        let (field, _) = FIELDS.iter().find(|(_, field)| *field == path)?;
        let slot = &mut self.values[*field as usize];
        (slot.is_none() && !tag.empty).then(|| {
            *slot = Some(Cow::Borrowed(""));
            *field
        })
    }

    /// Records the end of an element of this depth.
    fn close(&mut self, depth: usize, at: usize) {
        for way in &mut self.ways {
            // Only the first element of a name is kept, so as long as its end is not noted it is
            // the one that is open at its depth.
            if let Some(Some(place)) = way.0.get_mut(depth - 1)
                && place.close.is_none()
                && !place.tag.empty
            {
                place.close = Some(at);
            }
        }
    }
}

/// Reads the first valuation of a task document, and nothing behind it.
pub(super) fn read(document: &[u8]) -> Result<Valuation<'_>, Fault> {
    let mut walk = Walk::over(document).map_err(|defect| unreadable(&defect))?;
    let (mut valuation, mut wanted) = (None, None);
    loop {
        match walk.step().map_err(|defect| unreadable(&defect))? {
            Step::Open(tag) => match (&mut valuation, walk.path()) {
                (None, path) if path == VALUATION => {
                    let read = Valuation::new(tag);
                    if tag.empty {
                        return Ok(read);
                    }
                    valuation = Some(read);
                }
                (None, _) => {}
                (Some(valuation), path) => {
                    let path = &path[VALUATION.len()..];
                    if let Some(field) = valuation.open(path, tag) {
                        wanted = Some((field, walk.path().len()));
                    }
                }
            },
            Step::Text(text) => {
                if let (Some(valuation), Some((field, depth))) = (&mut valuation, wanted)
                    && walk.path().len() == depth
                {
                    append(&mut valuation.values[field as usize], text);
                }
            }
            Step::Close { depth, at } => {
                if let Some(read) = &mut valuation {
                    if depth == VALUATION.len() {
                        break;
                    }
                    read.close(depth - VALUATION.len(), at);
                    wanted = wanted.filter(|(_, of)| *of != depth);
                }
            }
            Step::End => break,
        }
    }
    valuation.ok_or_else(|| {
        Fault::permanent(
            FailureCode::TaskDocumentInvalid,
            "the task document has no /vnml/project/group/valuation",
        )
    })
}

/// Adds a piece to an element's text; most texts are of one piece and are not copied.
fn append<'a>(text: &mut Option<Cow<'a, str>>, piece: Cow<'a, str>) {
    match text {
        Some(text) if !text.is_empty() => text.to_mut().push_str(&piece),
        text => *text = Some(piece),
    }
}

fn unreadable(defect: &Defect) -> Fault {
    Fault::permanent(
        FailureCode::TaskDocumentInvalid,
        format!("the task document cannot be read: {defect}"),
    )
}
