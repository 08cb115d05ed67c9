//! Whole runs over real files, with time moved by hand.
