//! The fields of a query or of a form.

use url::form_urlencoded::{Serializer, parse};

/// The fields in their order. A name may come several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The fields of a query, or of the body of a form.
    pub fn parse(text: &[u8]) -> Self {
        Self(parse(text).into_owned().collect())
    }

    /// The first value of a name; nothing where it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        let found = all.find(|(known, _)| known == name)?;
        Some(found.1.trim()).filter(|value| !value.is_empty())
    }

    /// Every value of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.0.iter().filter(move |(known, _)| known == name);
        found.map(|(_, value)| value.trim())
    }

    /// The same fields with another value of a name, or without it.
    pub fn with(&self, name: &str, value: Option<&str>) -> Self {
        let others = self.0.iter().filter(|(known, _)| known != name);
        let mut fields: Vec<_> = others.cloned().collect();
        fields.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        Self(fields)
    }

    /// The fields as a query with its question mark; empty where there are none.
    pub fn query(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let mut query = Serializer::for_suffix(String::from("?"), 1);
        query.extend_pairs(&self.0);
        query.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_replaced_in_a_query() {
        let fields = Fields::parse(b"tab=story&at=84&q=a%26b");
        assert_eq!(fields.get("q"), Some("a&b"));
        let later = fields.with("at", Some("85")).with("tab", None);
        assert_eq!(later.query(), "?q=a%26b&at=85");
        assert_eq!(Fields::default().query(), "");
    }
}
