//! Subjects with wildcards: whether one covers another, and whether two have a subject in common.

/// Whether every subject that `part` matches is matched by `whole` too.
pub(super) fn covers(whole: &str, part: &str) -> bool {
    let (mut whole, mut part) = (whole.split('.'), part.split('.'));
    loop {
        match (whole.next(), part.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// Whether some subject is matched by both.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
            (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_subject_covers_a_narrower_one_and_not_the_other_way_round() {
        for (whole, part) in [
            ("a.b", "a.b"),
            ("a.*", "a.b"),
            ("a.*", "a.*"),
            ("a.>", "a.b.c"),
            ("a.>", "a.*.>"),
            (">", "a"),
        ] {
            assert!(covers(whole, part), "{whole} {part}");
        }
        for (whole, part) in [
            ("a.b", "a.*"),
            ("a.*", "a.>"),
            ("a.*", "a.b.c"),
            ("a.>", "a"),
            ("a.b.c", "a.b"),
        ] {
            assert!(!covers(whole, part), "{whole} {part}");
        }
    }

    #[test]
    fn subjects_overlap_where_one_message_matches_both() {
        for (one, other, both) in [
            ("a.*", "*.b", true),
            ("a.>", "a.b.c", true),
            ("a.b", "a.>", true),
            ("a.b", "a.c", false),
            ("a", "a.>", false),
            ("a.b.c", "a.*", false),
        ] {
            assert_eq!(overlap(one, other), both, "{one} {other}");
            assert_eq!(overlap(other, one), both, "{other} {one}");
        }
    }
}
