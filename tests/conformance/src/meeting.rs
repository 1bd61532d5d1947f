//! Who has come to a `meet`.

use std::collections::BTreeSet;

/// Counts the clients of one script that wait for each other. Pure: whoever runs the clients keeps one.
#[derive(Clone, Debug, Default)]
pub struct Meeting {
    here: BTreeSet<usize>,
    expected: BTreeSet<usize>,
}

impl Meeting {
    /// A meeting of these clients.
    pub fn of(clients: impl IntoIterator<Item = usize>) -> Self {
        Self { here: BTreeSet::new(), expected: clients.into_iter().collect() }
    }

    /// A client has come: those to whom [`Go`](crate::Go) is to be sent now.
    pub fn came(&mut self, client: usize) -> BTreeSet<usize> {
        self.here.insert(client);
        self.met()
    }

    /// A client is gone and is not waited for: those to whom [`Go`](crate::Go) is to be sent now.
    pub fn left(&mut self, client: usize) -> BTreeSet<usize> {
        self.expected.remove(&client);
        self.here.remove(&client);
        self.met()
    }

    fn met(&mut self) -> BTreeSet<usize> {
        if self.here == self.expected { std::mem::take(&mut self.here) } else { BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_goes_on_before_all_have_come() {
        let mut meeting = Meeting::of(0..3);
        assert!(meeting.came(1).is_empty());
        assert!(meeting.came(0).is_empty());
        assert_eq!(meeting.came(2), BTreeSet::from([0, 1, 2]));
        assert!(meeting.came(2).is_empty(), "the next meeting begins anew");
    }

    #[test]
    fn who_is_gone_is_not_waited_for() {
        let mut meeting = Meeting::of(0..3);
        assert!(meeting.left(0).is_empty());
        assert!(meeting.came(2).is_empty());
        assert_eq!(meeting.left(1), BTreeSet::from([2]));
    }
}
