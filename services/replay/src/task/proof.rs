//! Whether a task document that was made again is the one that was sent: its hash beside those of
//! all that is left of what was sent.

use domain::document::TaskDocument;
use domain::request::TaskId;
use nats::{DeadLetter, payload_sha256, sha256};
use serde::Serialize;

use crate::output::Paint;
use crate::source::Source;
use crate::story::Story;
use crate::{Error, documents};

/// Something that is left of what was sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// Where it was found.
    place: String,
    /// The type under which it was sent.
    task_type: String,
    /// The hash of the document.
    sha256: String,
}

impl Sent {
    /// All there is: what the attempts told, the dead letters, and the message that still waits.
    pub async fn of(source: &Source, story: &Story, id: TaskId) -> Result<Vec<Self>, Error> {
        // What a masked document is made into is nothing that was sent.
        let mut found = if source.is_redacted() {
            Vec::new()
        } else {
            Self::told(story, id)
        };
        match source {
            Source::Live(live) => {
                let letters = live.connection.dead_letters_of(id.request).await?;
                found.extend(Self::of_letters(&letters, id));
                let queued = live.connection.queued(id.request).await?;
                let queued = queued.into_iter().filter(|queued| queued.task == id);
                found.extend(queued.map(|queued| Self {
                    place: format!("message {} of TASKS", queued.sequence),
                    sha256: payload_sha256(&queued.document),
                    task_type: queued.task_type,
                }));
            }
            Source::Bundle(bundle) => found.extend(Self::of_letters(&bundle.dead_letters, id)),
        }
        Ok(found)
    }

    fn told(story: &Story, id: TaskId) -> Vec<Self> {
        let given = story.commits.iter().flat_map(documents::given);
        let own = given.filter(|(task, ..)| *task == id);
        let found = own.filter_map(|(_, attempt, given)| {
            Some(Self {
                place: format!("the record of attempt {attempt}"),
                task_type: given.task_type.clone(),
                sha256: given.sha256.clone()?,
            })
        });
        found.collect()
    }

    fn of_letters(letters: &[DeadLetter], id: TaskId) -> impl Iterator<Item = Self> {
        let own = letters.iter().filter(move |letter| letter.task == id);
        own.map(|letter| Self {
            place: format!("the dead letter of run {}", letter.run),
            task_type: letter.task_type.clone(),
            sha256: payload_sha256(&letter.document),
        })
    }
}

/// A document that was made again, beside what was sent.
pub struct Proof {
    /// The hash of the document that was made again.
    pub made: String,
    pub sent: Vec<Sent>,
}

impl Proof {
    pub fn of(document: &TaskDocument, sent: Vec<Sent>) -> Self {
        let made = sha256(&document.xml);
        Self { made, sent }
    }

    /// Whether it is what was sent; none where nothing of that is left.
    pub fn verified(&self) -> Option<bool> {
        let same = |sent: &Sent| sent.sha256 == self.made;
        (!self.sent.is_empty()).then(|| self.sent.iter().all(same))
    }

    /// The type under which it was last sent, where that is known.
    pub fn task_type(&self) -> Option<&str> {
        self.sent.last().map(|sent| sent.task_type.as_str())
    }

    pub fn places(&self) -> Vec<&str> {
        self.sent.iter().map(|sent| sent.place.as_str()).collect()
    }

    pub fn told(&self, paint: Paint) -> String {
        let mut others = self.sent.iter().filter(|sent| sent.sha256 != self.made);
        match (self.verified(), others.next()) {
            (None, _) => "made again from the log by this build; nothing is recorded of what was \
                          sent"
                .into(),
            (_, Some(other)) => paint.red(&format!(
                "NOT the same as {}, whose sha256 is {}",
                other.place, other.sha256
            )),
            (_, None) => paint.green(&format!(
                "verified against what was sent: the same as {}",
                self.places().join(", ")
            )),
        }
    }
}
