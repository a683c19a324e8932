//! Code that several fuzz targets share.

pub mod costly;
pub mod measure;
pub mod run;

/// Escapes a text for an attribute in double quotes.
pub fn escaped(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => all.push_str("&amp;"),
            '<' => all.push_str("&lt;"),
            '"' => all.push_str("&quot;"),
            '\t' | '\n' | '\r' => all.push_str(&format!("&#{};", character as u32)),
            other => all.push(other),
        }
    }
    all
}
