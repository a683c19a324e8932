//! The table of all kinds.

mod axes;
mod expressions;
mod groups;
mod links;
mod merging;
mod names;
mod packed;
mod references;
mod strings;
mod texts;

use crate::Kind;

/// Every kind.
pub const KINDS: &[Kind] = &{
    const PARTS: [&[Kind]; 10] = [
        expressions::KINDS,
        strings::KINDS,
        axes::KINDS,
        merging::KINDS,
        links::KINDS,
        groups::KINDS,
        names::KINDS,
        texts::KINDS,
        references::KINDS,
        packed::KINDS,
    ];
    const COUNT: usize = {
        let (mut count, mut part) = (0, 0);
        while part < PARTS.len() {
            count += PARTS[part].len();
            part += 1;
        }
        count
    };
    let mut all = [PARTS[0][0]; COUNT];
    let (mut at, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut of = 0;
        while of < PARTS[part].len() {
            all[at] = PARTS[part][of];
            (at, of) = (at + 1, of + 1);
        }
        part += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::KINDS;

    /// The most bytes of a submission. Larger ones are refused by their length alone.
    const MAX_BYTES: usize = 10 * 1024 * 1024;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_a_sentence() {
        let names: HashSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
        for kind in KINDS {
            assert!(kind.about.ends_with('.'), "{}", kind.name);
        }
    }

    #[test]
    fn every_submission_is_small_enough_to_be_parsed() {
        for kind in KINDS {
            let bytes = (kind.body)().len();
            assert!((1..=MAX_BYTES).contains(&bytes), "{}: {bytes}", kind.name);
        }
    }
}
