//! Limits on the data that others put into a request's history. Every part of the history must fit
//! into the messages that carry it, even a part that comes from a third-party worker.

use super::{Attempt, Fault, Next, Outcome, Payload, Report, Verdict};

/// The maximum size of a name, in bytes: of a worker, a task type, a dead letter, or a group in an
/// event.
pub const NAME_MAX_BYTES: usize = 256;
/// The maximum size of a code, in bytes.
pub const CODE_MAX_BYTES: usize = 128;
/// The maximum size of a text that explains what happened or why, in bytes.
pub const TEXT_MAX_BYTES: usize = 4 * 1024;
/// The maximum number of causes of a fault.
pub const CAUSES_MAX: usize = 10;

/// Cuts a text to at most this many bytes, between characters. Returns whether something was cut
/// off.
pub(crate) fn cut(text: &mut String, most: usize) -> bool {
    let end = text.floor_char_boundary(most);
    let cut = end < text.len();
    text.truncate(end);
    cut
}

/// The size of a text in JSON, with its quotes and escapes, in bytes.
#[must_use]
pub fn json_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    };
    2 + text.len() + text.bytes().map(escaped).sum::<usize>()
}

impl Fault {
    /// Cuts the parts that exceed their limits. If there are too many causes, the first ones and
    /// the last one stay. Returns whether something was cut off.
    pub fn bound(&mut self) -> bool {
        let mut cut_off = cut(&mut self.code, CODE_MAX_BYTES);
        cut_off |= cut(&mut self.message, TEXT_MAX_BYTES);
        if self.causes.len() > CAUSES_MAX {
            self.causes.drain(CAUSES_MAX - 1..self.causes.len() - 1);
            cut_off = true;
        }
        for cause in &mut self.causes {
            cut_off |= cut(cause, TEXT_MAX_BYTES);
        }
        cut_off
    }
}

impl Attempt {
    /// Cuts the parts that exceed their limits.
    pub fn bound(&mut self) -> bool {
        cut(&mut self.worker, NAME_MAX_BYTES) | self.fault.bound()
    }
}

impl Next {
    /// Cuts the parts that exceed their limits. Returns whether something was cut off.
    pub fn bound(&mut self) -> bool {
        match self {
            Self::RetryAt(_) | Self::DispatchAt(_) => false,
            Self::DeadLetter(letter) => cut(letter, NAME_MAX_BYTES),
        }
    }
}

impl Outcome {
    /// Cuts the parts that exceed their limits, but not the result. Returns whether something was
    /// cut off.
    pub fn bound(&mut self) -> bool {
        let mut cut_off = cut(&mut self.worker, NAME_MAX_BYTES);
        if let Some(given) = &mut self.given {
            cut_off |= cut(&mut given.task_type, NAME_MAX_BYTES);
            if let Some(sha256) = &mut given.sha256 {
                cut_off |= cut(sha256, CODE_MAX_BYTES);
            }
        }
        match &mut self.verdict {
            Verdict::Succeeded(Payload::Inline(_)) => {}
            Verdict::Succeeded(Payload::Stored { sha256, .. }) => {
                cut_off |= cut(sha256, CODE_MAX_BYTES);
            }
            Verdict::Failed { fault, next } => cut_off |= fault.bound() | next.bound(),
        }
        cut_off
    }
}

impl Report {
    /// Cuts the parts that exceed their limits. Returns whether something was cut off.
    pub fn bound(&mut self) -> bool {
        match self {
            Self::Outcome(outcome) => outcome.bound(),
            Self::GroupTimedOut { .. } | Self::RequestTimedOut { .. } | Self::TaskDue { .. } => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: usize, message: usize, causes: usize, cause: usize) -> Fault {
        Fault {
            code: "c".repeat(code),
            message: "m".repeat(message),
            causes: (0..causes).map(|n| format!("{n:0cause$}")).collect(),
        }
    }

    #[test]
    fn a_fault_at_its_bounds_stays_as_it_is_and_one_beyond_is_cut() {
        let (code, text) = (CODE_MAX_BYTES, TEXT_MAX_BYTES);
        let most = fault(code, text, CAUSES_MAX, text);
        let mut same = most.clone();
        assert!(!same.bound());
        assert_eq!(same, most);
        for (mut more, expected) in [
            (fault(code + 1, text, 1, text), fault(code, text, 1, text)),
            (fault(code, text + 1, 1, text), fault(code, text, 1, text)),
        ] {
            assert!(more.bound());
            assert_eq!(more, expected);
        }
        let mut many = fault(1, 1, CAUSES_MAX + 5, text);
        let (first, last) = (many.causes[0].clone(), many.causes[CAUSES_MAX + 4].clone());
        assert!(many.bound());
        assert_eq!(many.causes.len(), CAUSES_MAX);
        assert_eq!((&many.causes[0], many.causes.last()), (&first, Some(&last)));
        let mut long = fault(1, 1, 1, text + 1);
        assert!(long.bound());
        assert_eq!(long.causes[0].len(), text);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "aé".repeat(10);
        assert!(cut(&mut text, 5));
        assert_eq!(text, "aéa");
        assert!(!cut(&mut text, 4));
    }

    #[test]
    fn the_predicted_size_of_a_text_in_json_is_exact() {
        let all: String = (0..=0x2fff_u32).filter_map(char::from_u32).collect();
        for text in ["", "plain", "\"quoted\"\n", &all] {
            assert_eq!(json_bytes(text), serde_json::to_string(text).unwrap().len());
        }
    }
}
