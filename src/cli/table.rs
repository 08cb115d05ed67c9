//! Aligned columns. Widths are counted in characters before colours are added.

use super::human::clean;
use super::style::{Tone, paint};

/// On which side a column is flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// One cell: text from anywhere (control characters are made visible) and how it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub fn new(tone: Tone, text: impl AsRef<str>) -> Self {
        Self { text: clean(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// Rows under a line of headings.
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row with one cell per column.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len(), "one cell per column");
        self.rows.push(cells.into());
    }

    /// The table as text, every line ended; nothing at all without rows.
    pub fn render(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| row[column].text.chars().count());
                cells.chain([self.columns[column].0.len()]).max().unwrap_or(0)
            })
            .collect();
        let headings: Vec<Cell> = self.columns.iter().map(|(name, _)| Cell::new(Tone::Dim, name)).collect();
        let mut text = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            text.push_str(&self.line(row, &widths));
            text.push('\n');
        }
        text
    }

    fn line(&self, row: &[Cell], widths: &[usize]) -> String {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let gap = widths[column] - cell.text.chars().count();
            let last = row[column + 1..].iter().all(|cell| cell.text.is_empty());
            match self.columns[column].1 {
                Align::Right => line.push_str(&" ".repeat(gap)),
                Align::Left => {}
            }
            line.push_str(&paint(cell.tone, &cell.text));
            if last {
                break;
            }
            if self.columns[column].1 == Align::Left {
                line.push_str(&" ".repeat(gap));
            }
            line.push_str("  ");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_spaces() {
        let mut table = Table::new(&[("NAME", Align::Left), ("OK", Align::Right), ("NOTE", Align::Left)]);
        table.row(["ä".into(), "1 204".into(), "x".into()]);
        table.row(["longer".into(), "7".into(), "".into()]);
        let plain = anstream::adapter::strip_str(&table.render()).to_string();
        assert_eq!(plain, "NAME       OK  NOTE\nä       1 204  x\nlonger      7\n");
    }

    #[test]
    fn hostile_text_cannot_drive_the_terminal() {
        let mut table = Table::new(&[("A", Align::Left)]);
        table.row(["\u{1b}[2Jx".into()]);
        assert!(table.render().contains("\\u{1b}[2Jx"));
    }
}
