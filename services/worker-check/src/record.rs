//! What passed about one task, in its order.

use std::collections::{HashMap, HashSet};

use domain::request::{Outcome, Report, RequestId};
use tokio::time::Instant;

use crate::passed::{Answer, Delivery, Passed, What};

/// Everything that passed so far.
#[derive(Default)]
pub struct Log {
    passed: Vec<Passed>,
    /// The request of each task, by its sequence.
    requests: HashMap<u64, String>,
}

/// A report of the worker.
pub struct Reported {
    /// Its place in the log.
    pub place: usize,
    pub reply: Option<String>,
    pub again: bool,
    pub outcome: Result<Outcome, String>,
}

/// An answer of the worker to a delivery of the task.
#[derive(Clone, Debug)]
pub struct Answered {
    pub place: usize,
    pub at: Instant,
    pub of: Delivery,
    pub answer: Answer,
    pub asks: bool,
}

/// The part of the log about one task.
pub struct Record<'a> {
    log: &'a Log,
    request: String,
}

impl Log {
    pub fn note(&mut self, passed: Passed) {
        if let What::Delivered { request, of } = &passed.what {
            self.requests.insert(of.sequence, request.clone());
        }
        self.passed.push(passed);
    }

    /// The part about a request, of which the check sends one task.
    pub fn of(&self, request: RequestId) -> Record<'_> {
        Record {
            log: self,
            request: request.to_string(),
        }
    }

    /// The deliveries that the worker never answered for good.
    pub fn unanswered(&self) -> usize {
        let mut open = HashSet::new();
        for passed in &self.passed {
            match &passed.what {
                What::Delivered { of, .. } => {
                    open.insert(*of);
                }
                What::Answered { of, answer, .. } if *answer != Answer::Progress => {
                    open.remove(of);
                }
                _ => {}
            }
        }
        open.len()
    }

    /// How many deliveries there were.
    pub fn deliveries(&self) -> usize {
        let delivered = |passed: &&Passed| matches!(passed.what, What::Delivered { .. });
        self.passed.iter().filter(delivered).count()
    }
}

impl Record<'_> {
    fn passed(&self) -> impl Iterator<Item = (usize, &Passed)> {
        self.log.passed.iter().enumerate()
    }

    fn is_about(&self, of: Delivery) -> bool {
        self.log.requests.get(&of.sequence) == Some(&self.request)
    }

    /// When the broker gave the task to the worker, each time.
    pub fn deliveries(&self) -> Vec<(Instant, Delivery)> {
        let all = self.passed().filter_map(|(_, passed)| match &passed.what {
            What::Delivered { request, of } if *request == self.request => Some((passed.at, *of)),
            _ => None,
        });
        all.collect()
    }

    /// Every answer, signs of life included.
    pub fn answers(&self) -> Vec<Answered> {
        let all = self
            .passed()
            .filter_map(|(place, passed)| match &passed.what {
                What::Answered { of, answer, asks } if self.is_about(*of) => Some(Answered {
                    place,
                    at: passed.at,
                    of: *of,
                    answer: answer.clone(),
                    asks: *asks,
                }),
                _ => None,
            });
        all.collect()
    }

    /// The answers that are no signs of life.
    pub fn final_answers(&self) -> Vec<Answered> {
        let mut answers = self.answers();
        answers.retain(|answered| answered.answer != Answer::Progress);
        answers
    }

    /// The reports. Several of one message are one each.
    pub fn reports(&self) -> Vec<Reported> {
        let mut all = Vec::new();
        for (place, passed) in self.passed() {
            let What::Reported {
                request,
                reply,
                again,
                body,
            } = &passed.what
            else {
                continue;
            };
            if *request != self.request {
                continue;
            }
            all.extend(outcomes(body).into_iter().map(|outcome| Reported {
                place,
                reply: reply.clone(),
                again: *again,
                outcome,
            }));
        }
        all
    }

    /// Where the broker confirmed a report.
    pub fn confirmed(&self, report: &Reported) -> Option<usize> {
        let reply = report.reply.as_ref()?;
        let is_answer = |what: &What| matches!(what, What::Other { subject } if subject == reply);
        let mut after = self.passed().skip(report.place + 1);
        after.find_map(|(place, passed)| is_answer(&passed.what).then_some(place))
    }

    /// Where the worker published a dead letter, and whether it would replace none.
    pub fn letter(&self) -> Option<(usize, bool)> {
        self.passed()
            .find_map(|(place, passed)| match &passed.what {
                What::Lettered { request, fenced } if *request == self.request => {
                    Some((place, *fenced))
                }
                _ => None,
            })
    }

    /// Whether the worker has done with the task: a report and an answer.
    pub fn is_settled(&self) -> bool {
        !self.reports().is_empty() && !self.final_answers().is_empty()
    }
}

fn outcomes(body: &[u8]) -> Vec<Result<Outcome, String>> {
    let reports: serde_json::Result<Vec<Report>> = if body.first() == Some(&b'[') {
        serde_json::from_slice(body)
    } else {
        serde_json::from_slice(body).map(|report| vec![report])
    };
    match reports {
        Err(error) => vec![Err(error.to_string())],
        Ok(reports) => reports
            .into_iter()
            .map(|report| match report {
                Report::Outcome(outcome) => Ok(outcome),
                _ => Err("it is the report of a timer".to_owned()),
            })
            .collect(),
    }
}
