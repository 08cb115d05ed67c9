//! The list of differences: as many as a person reads, and how many more there are.

/// Sentences kept.
const KEPT: usize = 200;

/// What does not add up, one sentence each.
#[derive(Default)]
pub(super) struct Differences {
    kept: Vec<String>,
    more: u64,
}

impl Differences {
    pub(super) fn add(&mut self, sentence: impl Into<String>) {
        if self.kept.len() < KEPT {
            self.kept.push(sentence.into());
        } else {
            self.more += 1;
        }
    }

    /// Notes it when two ways of counting differ.
    pub(super) fn expect(&mut self, who: &str, what: &str, counted: u64, kept: u64) {
        if counted != kept {
            self.add(format!("{who}: {counted} {what}, the books say {kept}"));
        }
    }

    pub(super) fn into_sentences(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("and {} more differences", self.more));
        }
        self.kept
    }
}
