//! Whether what clients saw of one key could have happened one command after the other: Wing and Gong's search
//! (*Testing and Verifying Concurrent Objects*, 1993), with what was tried already remembered, as Lowe does.

use std::collections::HashSet;

/// What a client asks of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Increment,
    Get,
    Set(i64),
    Delete,
}

/// What is answered to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// The value, if there is one.
    Value(Option<i64>),
    /// The new count, or how many were deleted.
    Number(i64),
}

/// A command: asked at one moment, answered at a later one. Where the connection broke there is no answer, and it was
/// carried out or not.
#[derive(Clone, Copy, Debug)]
struct Call {
    asked: usize,
    ask: Ask,
    answered: Option<(usize, Answer)>,
}

/// All that was asked of one key.
#[derive(Debug, Default)]
pub(crate) struct History {
    calls: Vec<Call>,
    now: usize,
}

impl History {
    /// The largest that is searched.
    pub(crate) const MAX: usize = u64::BITS as usize;

    /// Somebody is about to ask: the number of the call.
    pub(crate) fn ask(&mut self, ask: Ask) -> usize {
        self.now += 1;
        self.calls.push(Call { asked: self.now, ask, answered: None });
        self.calls.len() - 1
    }

    pub(crate) fn answer(&mut self, call: usize, answer: Answer) {
        self.now += 1;
        self.calls[call].answered = Some((self.now, answer));
    }

    pub(crate) fn is_linearizable(&self) -> bool {
        assert!(self.calls.len() <= Self::MAX, "{} calls", self.calls.len());
        self.search(0, None, &mut HashSet::new())
    }

    /// Whether the calls that are not in `done` can follow, in some order, on a key of this value.
    fn search(&self, done: u64, value: Option<i64>, tried: &mut HashSet<(u64, Option<i64>)>) -> bool {
        let open = |index: usize| done & (1 << index) == 0;
        let mut answers = self.calls.iter().enumerate().filter(|(index, _)| open(*index));
        // Whoever asked after this was answered comes after it.
        let Some(first) = answers.by_ref().filter_map(|(_, call)| Some(call.answered?.0)).min() else {
            return true;
        };
        if !tried.insert((done, value)) {
            return false;
        }
        self.calls.iter().enumerate().filter(|(index, call)| open(*index) && call.asked < first).any(
            |(index, call)| {
                let (after, answer) = carried_out(call.ask, value);
                let agrees = call.answered.is_none_or(|(_, answered)| answered == answer);
                agrees && self.search(done | 1 << index, after, tried)
            },
        )
    }
}

/// What a command makes of a value, and what is answered.
fn carried_out(ask: Ask, value: Option<i64>) -> (Option<i64>, Answer) {
    match ask {
        Ask::Increment => {
            let count = value.unwrap_or(0) + 1;
            (Some(count), Answer::Number(count))
        }
        Ask::Get => (value, Answer::Value(value)),
        Ask::Set(value) => (Some(value), Answer::Done),
        Ask::Delete => (None, Answer::Number(value.is_some().into())),
    }
}

/// Calls as they were asked and answered, in order: the first number names a call.
fn history(said: &[(usize, Result<Ask, Answer>)]) -> History {
    let mut history = History::default();
    for (call, said) in said {
        match said {
            Ok(ask) => assert_eq!(history.ask(*ask), *call),
            Err(answer) => history.answer(*call, *answer),
        }
    }
    history
}

#[test]
fn one_after_the_other_each_sees_what_was_before() {
    use Answer::{Done, Number, Value};
    let said = |value| {
        let said = [
            (0, Ok(Ask::Set(5))),
            (0, Err(Done)),
            (1, Ok(Ask::Increment)),
            (1, Err(Number(6))),
            (2, Ok(Ask::Delete)),
            (2, Err(Number(1))),
            (3, Ok(Ask::Get)),
            (3, Err(Value(value))),
        ];
        history(&said).is_linearizable()
    };
    assert!(said(None) && !said(Some(6)));
}

#[test]
fn of_two_at_once_either_may_be_first_but_not_both() {
    use Answer::Number;
    let said = |first, second| {
        let said = [
            (0, Ok(Ask::Increment)),
            (1, Ok(Ask::Increment)),
            (1, Err(Number(second))),
            (0, Err(Number(first))),
        ];
        history(&said).is_linearizable()
    };
    assert!(said(1, 2) && said(2, 1));
    assert!(!said(1, 1) && !said(2, 3));
}

#[test]
fn what_was_never_answered_was_carried_out_or_not() {
    use Answer::Value;
    let said = |values: [Option<i64>; 2]| {
        let said = [
            (0, Ok(Ask::Set(7))),
            (1, Ok(Ask::Get)),
            (1, Err(Value(values[0]))),
            (2, Ok(Ask::Get)),
            (2, Err(Value(values[1]))),
        ];
        history(&said).is_linearizable()
    };
    assert!(said([None, None]) && said([None, Some(7)]) && said([Some(7), Some(7)]));
    assert!(!said([Some(7), None]), "it was, and then it was not");
    assert!(!said([Some(8), None]));
}
