//! Tokens of XPath 1.0, with the rules of section 3.7 for `*` and operator names.

use super::XPathError;
use crate::document::well_formed::{name_character, trimmed_start};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Literal(String),
    /// A name, with its prefix if it has one.
    Name(String),
    /// `prefix:*`
    PrefixStar(String),
    Star,
    /// `or`, `and`, `div`, `mod` and the operator `*`. The preceding token distinguishes them from
    /// names.
    Operator(&'static str),
    /// Punctuation and the other operators.
    Symbol(&'static str),
}

/// The symbols, longest first.
const SYMBOLS: [&str; 21] = [
    "::", "//", "!=", "<=", ">=", "..", "(", ")", "[", "]", ".", "@", ",", "/", "|", "+", "-", "=",
    "<", ">", "$",
];
/// The longest expression, in bytes.
const EXPRESSION_MAX_BYTES: usize = 16 * 1024;

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, XPathError> {
    if text.len() > EXPRESSION_MAX_BYTES {
        return Err(XPathError::Syntax(format!(
            "an expression may have {EXPRESSION_MAX_BYTES} bytes"
        )));
    }
    let mut tokens = Vec::new();
    let mut rest = trimmed_start(text);
    while let Some(first) = rest.chars().next() {
        let (token, after) = next(rest, first, operator_follows(&tokens))?;
        tokens.push(token);
        rest = trimmed_start(after);
    }
    Ok(tokens)
}

/// Whether an operator follows: a name is an operator after an operand, but not after an operator
/// or at the beginning.
fn operator_follows(tokens: &[Token]) -> bool {
    match tokens.last() {
        None | Some(Token::Operator(_)) => false,
        Some(Token::Symbol(symbol)) => matches!(*symbol, ")" | "]" | "." | ".."),
        Some(_) => true,
    }
}

fn next(text: &str, first: char, operator: bool) -> Result<(Token, &str), XPathError> {
    if matches!(first, '"' | '\'') {
        let Some((literal, rest)) = text[1..].split_once(first) else {
            return Err(XPathError::Syntax("a string is not closed".into()));
        };
        return Ok((Token::Literal(literal.to_owned()), rest));
    }
    let fraction = first == '.' && text[1..].starts_with(|c: char| c.is_ascii_digit());
    if first.is_ascii_digit() || fraction {
        return Ok(number(text));
    }
    if let Some(rest) = text.strip_prefix('*') {
        let token = if operator {
            Token::Operator("*")
        } else {
            Token::Star
        };
        return Ok((token, rest));
    }
    if name_character(first, true) {
        return Ok(name(text, operator));
    }
    SYMBOLS
        .iter()
        .find_map(|symbol| Some((Token::Symbol(symbol), text.strip_prefix(symbol)?)))
        .ok_or_else(|| XPathError::Syntax(format!("'{first}' is not expected")))
}

fn number(text: &str) -> (Token, &str) {
    let mut dots = 0;
    let end = text
        .find(|c: char| {
            dots += usize::from(c == '.');
            !(c.is_ascii_digit() || c == '.' && dots == 1)
        })
        .unwrap_or(text.len());
    (
        Token::Number(text[..end].parse().unwrap_or(f64::NAN)),
        &text[end..],
    )
}

fn name(text: &str, operator: bool) -> (Token, &str) {
    let (first, rest) = part(text);
    if operator && let Some(word) = ["or", "and", "div", "mod"].iter().find(|w| **w == first) {
        return (Token::Operator(word), rest);
    }
    let Some(local) = rest
        .strip_prefix(':')
        .filter(|local| !local.starts_with(':'))
    else {
        return (Token::Name(first.to_owned()), rest);
    };
    if let Some(after) = local.strip_prefix('*') {
        return (Token::PrefixStar(first.to_owned()), after);
    }
    let (second, after) = part(local);
    if second.is_empty() {
        return (Token::Name(first.to_owned()), rest);
    }
    (Token::Name(format!("{first}:{second}")), after)
}

fn part(text: &str) -> (&str, &str) {
    let mut first = true;
    let end = text
        .find(|c| !name_character(c, std::mem::take(&mut first)))
        .unwrap_or(text.len());
    text.split_at(end)
}
