//! Writes the document that an input of `costly` stands for: `costly-document INPUT`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let input = std::env::args_os()
        .nth(1)
        .unwrap_or_else(|| "/dev/stdin".into());
    let document = fanfold_fuzz::costly::document(&std::fs::read(input)?);
    std::io::stdout().write_all(&document)
}
