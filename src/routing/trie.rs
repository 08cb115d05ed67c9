//! Wildcard patterns of one tenant as a tree over segments, walked by all branches at once.
//!
//! ```text
//! invoice.*   salesOrder.**   **.deleted      (root) -invoice-> o -*-> [1]
//!                                                    -salesOrder-> o -**-> [2]
//!                                                    -**-> o -deleted-> [3]
//! ```
//! A walk keeps the set of nodes that the segments read so far can lead to. Its cost is that of the nodes reached,
//! not of the patterns stored.

use std::collections::HashMap;

use super::pattern::{Pattern, Segment};

/// Number of an entry, chosen by the owner of the tree.
pub(super) type Entry = u32;

#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, usize>,
    one: Option<usize>,
    any: Option<usize>,
    /// Reached by `**`: it may swallow further segments.
    is_any: bool,
    entries: Vec<Entry>,
}

const ROOT: usize = 0;

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Trie {
    pub(super) fn insert(&mut self, pattern: &Pattern, entry: Entry) {
        let mut at = ROOT;
        for segment in pattern.segments() {
            let fresh = self.nodes.len();
            let node = &mut self.nodes[at];
            at = match segment {
                Segment::Literal(text) => *node.literals.entry(text.clone()).or_insert(fresh),
                Segment::One => *node.one.get_or_insert(fresh),
                Segment::Any => *node.any.get_or_insert(fresh),
            };
            if at == fresh {
                self.nodes.push(Node { is_any: *segment == Segment::Any, ..Node::default() });
            }
        }
        self.nodes[at].entries.push(entry);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    /// Adds the entries of all patterns that mean `event_type`; one may come more than once.
    pub(super) fn find(&self, event_type: &str, found: &mut Vec<Entry>) {
        let mut here = Vec::new();
        let mut next = Vec::new();
        self.enter(ROOT, &mut here);
        for segment in event_type.split('.') {
            for &at in &here {
                let node = &self.nodes[at];
                let children = [node.literals.get(segment).copied(), node.one, node.is_any.then_some(at)];
                for child in children.into_iter().flatten() {
                    self.enter(child, &mut next);
                }
            }
            next.sort_unstable();
            next.dedup();
            std::mem::swap(&mut here, &mut next);
            next.clear();
        }
        for at in here {
            found.extend(&self.nodes[at].entries);
        }
    }

    /// A `**` below may be empty, so entering a node enters that as well.
    fn enter(&self, at: usize, reached: &mut Vec<usize>) {
        reached.push(at);
        if let Some(any) = self.nodes[at].any {
            reached.push(any);
        }
    }
}
