//! The view's tree in memory. A power cut keeps what was synced and any prefix of the batches after it; now and then the
//! tree does not open at all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::Disk;
use crate::env::Files;
use crate::store::{Batch, Pairs, Tree, Trees, ViewError};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
struct Content {
    live: Map,
    durable: Map,
    since: Vec<Batch>,
    breaks: bool,
    /// Every n-th batch is not applied: a deliberate mistake.
    loses: bool,
}

/// The tree of one machine.
#[derive(Clone)]
pub struct SimTrees {
    content: Arc<Mutex<Content>>,
    disk: Arc<Disk>,
}

fn apply(map: &mut Map, batch: &Batch) {
    for (key, value) in &batch.0 {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

impl SimTrees {
    pub fn new(disk: Arc<Disk>) -> Self {
        Self { content: Arc::default(), disk }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn lose_power(&self, random: &mut fastrand::Rng) {
        let mut content = self.lock();
        let kept = random.usize(..=content.since.len());
        let since = std::mem::take(&mut content.since);
        since.iter().take(kept).for_each(|batch| apply(&mut content.durable, batch));
        content.live = content.durable.clone();
    }

    /// The next opening fails.
    pub fn break_open(&self) {
        self.lock().breaks = true;
    }

    pub fn lose_batches(&self) {
        self.lock().loses = true;
    }
}

impl Trees for SimTrees {
    fn open(&self, files: &dyn Files, path: &Path) -> Result<Arc<dyn Tree>, ViewError> {
        let mut content = self.lock();
        // A directory stands for the tree's files: when it is gone, or was moved aside, so are they.
        if files.stat(path).is_err() {
            *content = Content { loses: content.loses, ..Content::default() };
            let made = files.create_dirs(path, 0o700);
            made.map_err(|error| ViewError::Open { path: path.to_owned(), reason: error.to_string() })?;
        }
        if std::mem::take(&mut content.breaks) {
            return Err(ViewError::Open { path: path.to_owned(), reason: "it is damaged".to_owned() });
        }
        drop(content);
        Ok(Arc::new(self.clone()))
    }
}

impl Tree for SimTrees {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.lock().live.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Pairs {
        let content = self.lock();
        let from = content.live.range(prefix.to_vec()..);
        let found: Vec<_> = from
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| Ok((key.clone(), value.clone())))
            .collect();
        Box::new(found.into_iter())
    }

    fn apply(&self, batch: Batch) -> Result<(), ViewError> {
        self.disk.enter_tree();
        let mut content = self.lock();
        if content.loses && content.since.len() % 3 == 2 {
            return Ok(());
        }
        apply(&mut content.live, &batch);
        content.since.push(batch);
        Ok(())
    }

    fn sync(&self) -> Result<(), ViewError> {
        self.disk.enter_tree();
        let mut content = self.lock();
        let since = std::mem::take(&mut content.since);
        since.iter().for_each(|batch| apply(&mut content.durable, batch));
        Ok(())
    }
}
